# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import pytest

torch = pytest.importorskip('torch')

from sg_depth_ros.imports import unpickling  # noqa: E402
from sg_depth_ros.imports.kind import ForeignNetworkError  # noqa: E402
from sg_depth_ros.imports.unpickling import read_checkpoint  # noqa: E402


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self._path), 'w')


def test_no_code_of_a_checkpoint_runs(tmp_path: Path) -> None:
    torch.save({'state_dict': {}, 'config': _Touch(tmp_path / 'ran')}, tmp_path / 'm.ckpt')
    with pytest.raises(ForeignNetworkError, match=r'object of the kind \S*open, .*never run here'):
        read_checkpoint(tmp_path / 'm.ckpt')
    assert not (tmp_path / 'ran').exists()


def test_configurations_of_yacs_are_read_as_dictionaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CfgNode(dict):  # type: ignore[type-arg]
        """As yacs has it: a dictionary with attributes of its own."""

    CfgNode.__module__, CfgNode.__qualname__ = 'yacs.config', 'CfgNode'
    module = types.ModuleType('yacs.config')
    module.CfgNode = CfgNode  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
    monkeypatch.setitem(sys.modules, 'yacs.config', module)
    config = CfgNode(model=CfgNode(name='VelSupModel'), shape=(192, 640))
    config.__dict__['__immutable__'] = True
    torch.save({'config': config, 'weights': torch.arange(3)}, tmp_path / 'm.ckpt')
    monkeypatch.delitem(sys.modules, 'yacs.config')
    monkeypatch.delitem(sys.modules, 'yacs')
    content = read_checkpoint(tmp_path / 'm.ckpt')
    assert content['config']['model']['name'] == 'VelSupModel'
    assert type(content['config']).__name__ == 'OrderedDict'
    assert content['weights'].tolist() == [0, 1, 2]


def test_damaged_and_other_files_are_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / 'm.ckpt'
    with pytest.raises(ForeignNetworkError, match='is no file; give the checkpoint'):
        read_checkpoint(file)
    file.write_bytes(b'\x80\x02no checkpoint')
    with pytest.raises(ForeignNetworkError, match='cannot be read as a checkpoint of torch'):
        read_checkpoint(file)
    file.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ForeignNetworkError):
        read_checkpoint(file)
    torch.save([torch.zeros(1)], file)
    with pytest.raises(ForeignNetworkError, match='holds a list, expected a dictionary'):
        read_checkpoint(file)
    torch.save({'a': torch.zeros(1000)}, file)
    monkeypatch.setattr(unpickling, 'MAX_BYTES', 1000)
    with pytest.raises(ForeignNetworkError, match='GB, at most 0 are read'):
        read_checkpoint(file)
