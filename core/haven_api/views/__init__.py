"""One module for each of Harbor's API tags."""
