"""The fixture `host`: the test host with a fresh scene, or a skip that says what is missing."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from Testing.host import requirements


@pytest.fixture(scope="session")
def running_host():
    if requirements.missing():
        pytest.skip(requirements.missing())
    from Testing.host.host import Host

    return Host()


@pytest.fixture
def host(running_host, monkeypatch):
    """A fresh scene and default views; dialogs are recorded. Fails the test when a slot or an observer raised."""
    running_host.reset()
    running_host.dialogs.recording = True
    monkeypatch.setattr(sys, "excepthook", running_host.keep_error)
    yield running_host
    errors = list(running_host.errors)
    running_host.reset()
    assert not errors, "A slot or an observer raised:\n" + "\n".join(errors)
