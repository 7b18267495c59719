"""Label files beside the audio."""
