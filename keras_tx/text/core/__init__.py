"""What all tokenizers share."""
