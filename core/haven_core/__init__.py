"""What every other room stands on: accounts, projects, rights, quotas, events, configuration."""
