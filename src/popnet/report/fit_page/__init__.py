"""The page of a fit, section by section."""
