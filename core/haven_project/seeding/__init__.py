"""`haven seed`: a registry full of believable data, to try and to measure with."""
