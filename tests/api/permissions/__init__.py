"""Who may call what: the tables beside this file are the expectation, one for each topic, to be read by people."""
