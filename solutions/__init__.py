"""Tested solutions to the exercises of D2L chapter 6; one module per section.

The notebooks in `chapters/` import from here. Nothing here imports a notebook.
"""
