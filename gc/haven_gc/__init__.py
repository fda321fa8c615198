"""Everything that removes: garbage collection, sweeping dead keys, expired uploads, and the check that nothing is wrong."""
