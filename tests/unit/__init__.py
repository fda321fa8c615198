"""Tests of single parts, without the stack."""
