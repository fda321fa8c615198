"""What an administrator changes while Haven runs (what needs a restart is haven_core.config)."""
