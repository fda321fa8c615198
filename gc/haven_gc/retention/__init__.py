"""Retention: what the rules of a project's policy don't keep goes into the trash.

executions begins a run, which is a job; candidates reads a repository, plan decides (a dry run ends there), run removes.
A removal names the tags its decision saw and leaves alone what was pushed since.
"""
