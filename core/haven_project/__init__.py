"""The composition root: settings, processes, the `haven` command. The one package that knows all the others."""
