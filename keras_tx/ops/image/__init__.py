"""Images as pure functions: patches, windows, resampling, boxes."""
