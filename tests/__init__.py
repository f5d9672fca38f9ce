"""Tests of `zoo` and `inference`."""
