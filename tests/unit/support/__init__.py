"""What the tests lean on is tested too."""
