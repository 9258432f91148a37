from __future__ import annotations

import pytest
from builders import git_repository


@pytest.fixture
def repository(tmp_path):
    """A git repository with two commits: ``engine.py`` says 1 at the first and 2 at the second."""
    folder = tmp_path / "project"
    git_repository(folder, {"engine.py": "SPEED = 1\n"}, {"engine.py": "SPEED = 2\n"})
    return folder
