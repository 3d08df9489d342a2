# Copyright 2026 The sg_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation against labels by hand: pixel accuracy, mean IoU and confusion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from sg_depth_ros.bundle.labels import VOID, Label
from sg_depth_ros.documents import DocumentError, read_yaml
from sg_depth_ros.evaluation.frames import EvaluationError
from sg_depth_ros.images.files import list_images, read_labels, read_rgb

Predict = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""From an image (H, W, 3) uint8 RGB to label ids (H, W) uint8 of the same size."""


class ClassMapping(BaseModel, extra='forbid', frozen=True):
    """What a data set's classes are, and which of the model's labels mean each.

    ``classes`` names the classes by their id in the label images, 0 to 254; ``void`` ids are not
    counted.
    ``labels`` gives for a label name of the model the class that it counts as; a label that is
    not listed counts as wrong everywhere.
    """

    classes: dict[Annotated[int, Field(ge=0, lt=VOID)], str]
    void: list[int]
    labels: dict[str, str]


def read_mapping(path: str | Path) -> ClassMapping:
    """Read a mapping file; raises EvaluationError that names the faulty key."""
    try:
        mapping = ClassMapping(**read_yaml(path))
    except ValidationError as error:
        fault = error.errors()[0]
        key = '.'.join(str(part) for part in fault['loc'])
        raise EvaluationError(f'{path}: {key}: {fault["msg"]}') from error
    except (DocumentError, TypeError) as error:
        raise EvaluationError(
            f'{path} is no class mapping ({error}); expected YAML with classes, void and labels'
        ) from error
    unknown = sorted(set(mapping.labels.values()) - set(mapping.classes.values()))
    if unknown:
        raise EvaluationError(
            f'{path}: labels are mapped to {unknown[0]!r}, which is none of the classes; '
            'correct its name'
        )
    return mapping


def mapping_table(mapping: ClassMapping, labels: tuple[Label, ...]) -> NDArray[np.uint8]:
    """Give the class id of each of the model's 256 label ids, ``VOID`` where it has none.

    Raises EvaluationError if the mapping names a label that the model does not have.
    """
    class_ids = {name: id for id, name in mapping.classes.items()}
    label_ids = {label.name: label.id for label in labels}
    table = np.full(256, VOID, np.uint8)
    for name, class_name in mapping.labels.items():
        if name not in label_ids:
            raise EvaluationError(
                f'the mapping names the label {name!r}, the model has {", ".join(label_ids)}'
            )
        table[label_ids[name]] = class_ids[class_name]
    return table


def confusion_matrix(
    truth_hw: NDArray[np.uint8], predicted_hw: NDArray[np.uint8], class_ids: list[int]
) -> NDArray[np.int64]:
    """Count pixels (C, C + 1): true class by predicted class, the last column is no class.

    Pixels whose truth is none of ``class_ids`` are left out.
    """
    size = len(class_ids)
    index = np.full(256, size)
    index[class_ids] = np.arange(size)
    truth, predicted = index[truth_hw.ravel()], index[predicted_hw.ravel()]
    counted = truth < size
    cells = truth[counted] * (size + 1) + predicted[counted]
    return np.bincount(cells, minlength=size * (size + 1)).reshape(size, size + 1)


def segmentation_scores(confusion_cc1: NDArray[np.int64], names: list[str]) -> dict[str, Any]:
    """Give pixel accuracy, mean class accuracy, mean IoU and the IoU by class name.

    Pixels of all images are counted together, as the benchmarks do; classes that occur neither in
    the truth nor in the prediction have no IoU and are left out of the means.
    """
    hits = np.diag(confusion_cc1).astype(float)
    true = confusion_cc1.sum(1)
    union = true + confusion_cc1[:, :-1].sum(0) - hits
    with np.errstate(invalid='ignore'):
        iou, accuracy = hits / union, hits / true
    total = max(int(true.sum()), 1)
    return {
        'pixel_accuracy': float(hits.sum() / total),
        'mean_accuracy': float(np.nanmean(accuracy)) if true.any() else float('nan'),
        'mean_iou': float(np.nanmean(iou)) if union.any() else float('nan'),
        'iou': {name: float(value) for name, value in zip(names, iou, strict=True)},
        'confusion': {'classes': [*names, 'no class'], 'pixels': confusion_cc1.tolist()},
    }


def evaluate_segmentation(
    folder: str | Path,
    mapping: ClassMapping,
    labels: tuple[Label, ...],
    predict: Predict,
    limit: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Score a CamVid-style folder (``images/`` and ``labels/`` of the same stems).

    Raises EvaluationError if labels are missing or hold an id that the mapping does not know.
    """
    folder = Path(folder)
    images = list(list_images(folder / 'images').items())[:limit]
    table = mapping_table(mapping, labels)
    class_ids = list(mapping.classes)
    known = np.isin(np.arange(256), [*class_ids, *mapping.void])
    confusion = np.zeros((len(class_ids), len(class_ids) + 1), np.int64)
    for done, (stem, path) in enumerate(images):
        on_progress(done, len(images))
        image, truth = read_rgb(path), read_labels(folder / 'labels' / f'{stem}.png')
        if truth.shape != image.shape[:2]:
            raise EvaluationError(
                f'{stem}: labels of shape {truth.shape} do not belong to an image of shape '
                f'{image.shape[:2]}; they must have one size'
            )
        if not known[truth].all():
            strange = int(truth[~known[truth]][0])
            raise EvaluationError(
                f'{stem}: the labels hold {strange}, which the mapping lists neither under '
                'classes nor under void'
            )
        confusion += confusion_matrix(truth, table[predict(image)], class_ids)
    on_progress(len(images), len(images))
    return {
        'dataset': folder.resolve().name,
        'images': len(images),
        **segmentation_scores(confusion, list(mapping.classes.values())),
    }
