"""GPT-1, GPT-2, LLaMA, Mistral, Mixtral."""
