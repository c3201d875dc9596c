"""With what hidden pixels are replaced."""
