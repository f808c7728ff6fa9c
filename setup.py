"""All that is to be said stands in pyproject.toml; this file is for tools that look for it."""

from setuptools import setup

setup()
