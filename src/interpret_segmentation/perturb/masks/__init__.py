"""Where an image is hidden."""
