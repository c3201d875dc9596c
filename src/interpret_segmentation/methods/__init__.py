"""Every way to explain a segmentation, one file each."""
