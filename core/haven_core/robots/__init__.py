"""Robot accounts: credentials for programs, with permissions of their own."""
