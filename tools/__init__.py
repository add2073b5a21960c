"""Compare, refresh and check the notebooks; set up the environment."""

import os

# The notebooks run in their own folders; a relative path is meant from this one.
if os.environ.get("D2L_DATA"):
    os.environ["D2L_DATA"] = os.path.abspath(os.path.expanduser(os.environ["D2L_DATA"]))
