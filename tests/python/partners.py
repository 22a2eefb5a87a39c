"""Packages that some tests compare with."""
import functools
import importlib
import os
import unittest


def needs(*packages):
    """Skips a test, or those of a class, where a package cannot be imported, and adds that to the file that STRANDNET_SKIPPED_TESTS
    names."""

    def of(test):
        if isinstance(test, type):
            test.setUpClass = classmethod(lambda cls: (_require(packages), super(test, cls).setUpClass()))
            return test

        @functools.wraps(test)
        def run(self, *arguments):
            _require(packages)
            return test(self, *arguments)

        return run

    return of


def _require(packages):
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            if counted := os.environ.get("STRANDNET_SKIPPED_TESTS"):
                with open(counted, "a") as file:
                    file.write(f"tests/python: those that need {package}\n")
            raise unittest.SkipTest(f"{package} cannot be imported ({error})") from error
