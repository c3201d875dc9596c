"""Import paths of 2.0.0.dev0 that have moved; the package looks for its modules here, too."""
