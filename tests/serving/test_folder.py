import pytest

from flakestorm_web.serving import folder
from flakestorm_web.serving.stop import CannotStart


def mode(path):
    return path.stat().st_mode & 0o777


def test_the_data_folder_is_made_private(tmp_path):
    folder.make_private(tmp_path / "a" / "b")
    assert mode(tmp_path / "a" / "b") == 0o700


def test_a_data_folder_that_others_can_read_is_closed_to_them(tmp_path):
    tmp_path.chmod(0o755)
    folder.make_private(tmp_path)
    assert mode(tmp_path) == 0o700


def test_a_folder_that_cannot_be_made_names_the_variable(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CannotStart, match="Set FLAKESTORM_DATA"):
        folder.make_private(tmp_path / "file" / "data")


def test_the_secret_key_is_made_once_and_is_private(tmp_path):
    folder.ensure_secret_key(tmp_path)
    first = (tmp_path / "secret_key").read_text()
    folder.ensure_secret_key(tmp_path)
    assert (tmp_path / "secret_key").read_text() == first
    assert len(first.strip()) >= 50
    assert mode(tmp_path / "secret_key") == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_second_start_is_told_where_the_first_serves(tmp_path):
    first = folder.FolderLock(tmp_path)
    first.acquire()
    first.describe("http://127.0.0.1:8123/, process 7")
    with pytest.raises(CannotStart, match=r"already running .*http://127.0.0.1:8123/, process 7"):
        folder.FolderLock(tmp_path).acquire()
