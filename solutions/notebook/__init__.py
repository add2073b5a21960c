"""What the notebooks call around the mathematics: figures, tables, seeds, devices."""
