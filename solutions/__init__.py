"""Tested answers to the exercises of D2L chapter 6.

One module a section: `why_conv` 6.1, `convolution` 6.2, `padding_stride` 6.3,
`channels` 6.4, `pooling` 6.5, `lenet` 6.6; `shapes` checks their arguments. `training`
is the laboratory of 6.6, `notebook` draws and seeds, `check` judges readers' answers,
`system` keeps files and processes whole. Nothing here imports a notebook.
"""
