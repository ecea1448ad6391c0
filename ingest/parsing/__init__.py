"""Turns files of many kinds into text with structure, each in a process of its own."""
