"""Personal access tokens: a person's further secrets, each for a part of what the person may."""
