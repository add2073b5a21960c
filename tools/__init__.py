"""Compare, refresh and check the notebooks; set up the environment."""
