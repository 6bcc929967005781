"""Folders of images: labels, order, parts, and folders that mean harm."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from convlet.preprocessing import Preprocessing
from convlet.utils import PyDataset, image_dataset_from_directory

GREYS = {"b/2.png": 20, "b/1.PNG": 10, "a/3.png": 30, "a/deep/4.png": 40, "c/5.png": 50}
SORTED = [30, 40, 10, 20, 50]  # by class and path
OPTIONS = {"image_size": (2, 3), "color_mode": "grayscale", "shuffle": False}


def write(path, grey, size=(3, 2)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, grey).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    for name, grey in GREYS.items():
        write(root / name, grey)
    write(root / ".hidden/9.png", 90)
    write(root / "a/.9.png", 90)
    (root / "a/notes.txt").write_text("no image")
    return root


def greys(dataset, epoch=0):
    dataset.epoch = epoch
    batches = [dataset[number] for number in range(len(dataset))]
    return [int(value) for x, _ in batches for value in x[:, 0, 0, 0]]


def refuses(message, error=ValueError):
    pattern = f"^image_dataset_from_directory: {re.escape(message)}"
    return pytest.raises(error, match=pattern)


def test_labels_are_sub_folders(folder):
    dataset = image_dataset_from_directory(folder, batch_size=2, **OPTIONS)

    assert isinstance(dataset, PyDataset)
    assert dataset.class_names == ["a", "b", "c"]
    assert len(dataset) == 3
    x, y = dataset[0]
    assert (x.shape, x.dtype, y.dtype) == ((2, 2, 3, 1), np.float32, np.int32)
    assert greys(dataset) == SORTED
    assert [label for n in range(3) for label in dataset[n][1]] == [0, 0, 1, 1, 2]
    assert [os.path.relpath(path, folder) for path in dataset.file_paths[:2]] == [
        "a/3.png",
        "a/deep/4.png",
    ]
    assert dataset.preprocessing == Preprocessing(2, 3, 1, 0.0, 255.0)


def test_images_are_resized_as_preprocessing_does(folder):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).save(folder / "a/3.png")
    dataset = image_dataset_from_directory(folder, image_size=5, shuffle=False)
    expected = Preprocessing(5, 5, 3, 0.0, 255.0).load_image(folder / "a/3.png")
    np.testing.assert_array_equal(dataset[0][0][0], expected)


def test_orders_follow_from_seed_and_epoch(folder):
    shuffled = OPTIONS | {"shuffle": True}
    one, same, other = (
        image_dataset_from_directory(folder, seed=seed, **shuffled) for seed in (1, 1, 2)
    )
    assert sorted(greys(one)) == sorted(SORTED)
    orders = [greys(one, epoch) for epoch in range(4)]
    assert orders == [greys(same, epoch) for epoch in range(4)]
    assert orders != [greys(other, epoch) for epoch in range(4)]
    assert len(set(map(tuple, orders))) > 1


@pytest.mark.parametrize("shuffle", [False, True])
def test_subsets_share_the_files_out(folder, shuffle):
    options = OPTIONS | {"shuffle": shuffle, "seed": 3, "validation_split": 0.4}
    both = image_dataset_from_directory(folder, subset="both", **options)
    apart = [
        image_dataset_from_directory(folder, subset=subset, **options)
        for subset in ("training", "validation")
    ]
    assert [d.file_paths for d in both] == [d.file_paths for d in apart]
    assert [len(d.file_paths) for d in both] == [3, 2]
    assert sorted(greys(both[0]) + greys(both[1])) == sorted(SORTED)
    assert (greys(both[1]) == SORTED[3:]) is not shuffle


def test_label_modes(folder):
    def y(**options):
        return image_dataset_from_directory(folder, **(OPTIONS | options))[0][1]

    np.testing.assert_array_equal(y(label_mode="categorical"), np.eye(3)[[0, 0, 1, 1, 2]])
    np.testing.assert_array_equal(y(class_names=["c", "b", "a"]), [0, 1, 1, 2, 2])
    np.testing.assert_array_equal(y(labels=[4, 4, 2, 2, 1]), [4, 4, 2, 2, 1])
    alone = image_dataset_from_directory(folder, labels=None, **OPTIONS)[0]
    assert alone.shape == (5, 2, 3, 1)
    binary = y(labels=[0, 1, 1, 0, 1], label_mode="binary")
    assert binary.tolist() == [[0], [1], [1], [0], [1]]
    with refuses("label_mode must be 'int' or 'categorical' unless there are 2 classes, got 'bin"):
        y(label_mode="binary")


@pytest.mark.parametrize(("mode", "shape"), [("categorical", (1, 2)), ("binary", (1, 1))])
def test_a_part_without_some_class_knows_all_of_them(folder, mode, shape):
    parts = image_dataset_from_directory(
        folder, [1, 1, 0, 0, 0], mode, validation_split=0.25, subset="both", **OPTIONS
    )
    assert set(parts[1].labels.tolist()) == {0}
    assert parts[1][0][1].shape == shape


def test_table_of_labels(folder):
    (folder / "labels.csv").write_text("file,label\nb/2.png,old\na/3.png, new\n\n")
    for table in ("labels.csv", folder / "labels.csv"):
        dataset = image_dataset_from_directory(folder, labels=table, **OPTIONS)
        assert dataset.class_names == ["new", "old"]
        assert greys(dataset) == [30, 20]
        assert dataset[0][1].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("../secret.png,x", "line 2: the file must be in"),
        ("/etc/hostname,x", "line 2: the file must be in"),
        ("elsewhere/secret.png,x", "line 2: the file must be in"),
        ("a/0.png,x", "line 2: there is no file"),
        ("a,x", "line 2: there is no file"),
        ("a/3.png", "line 2: there must be a file and a label, got ['a/3.png']"),
        ("a/3.png,x,y", "line 2: there must be a file and a label, got ['a/3.png', 'x', 'y']"),
        ("a/3.png, ", "line 2: there must be a file and a label, got ['a/3.png', ' ']"),
        ("a\0.png,x", "line 2: there must be a file and a label"),
        ('"a', "not a table of files and labels: unexpected end of data"),
    ],
)
def test_tables_that_will_not_do(folder, line, message):
    write(folder.parent / "secret.png", 1)
    (folder / "elsewhere").symlink_to(folder.parent)
    table = folder / "labels.csv"
    table.write_text(f"a/3.png,x\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(str(table))) as caught:
        image_dataset_from_directory(folder, labels=table, **OPTIONS)
    assert message in str(caught.value)


def test_links_to_folders_are_followed_on_request_and_once(folder):
    write(folder.parent / "others/6.png", 60)
    (folder / "d").symlink_to(folder.parent / "others")
    (folder / "c/linked.png").symlink_to(folder.parent / "others/6.png")
    (folder / "a/round").symlink_to(folder / "a")
    plain = image_dataset_from_directory(folder, **OPTIONS)
    assert plain.class_names == ["a", "b", "c"]
    assert greys(plain) == [*SORTED, 60]
    followed = image_dataset_from_directory(folder, follow_links=True, **OPTIONS)
    assert followed.class_names == ["a", "b", "c", "d"]
    assert greys(followed) == [*SORTED, 60, 60]


def test_a_pipe_is_no_image(folder):
    os.mkfifo(folder / "a/0.png")
    assert greys(image_dataset_from_directory(folder, **OPTIONS)) == SORTED


def test_damaged_file_is_named_when_it_is_read(folder):
    path = folder / "b/2.png"
    path.write_bytes(path.read_bytes()[:40])
    dataset = image_dataset_from_directory(folder, batch_size=2, **OPTIONS)
    assert len(dataset[0][0]) == 2
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: the file is damaged or not"):
        dataset[1]


def test_all_of_it_as_arrays(folder):
    dataset = image_dataset_from_directory(folder, batch_size=2, workers=3, **OPTIONS)
    x, y = dataset.arrays()
    np.testing.assert_array_equal(x[:, 1, 2, 0], SORTED)
    np.testing.assert_array_equal(y, [0, 0, 1, 1, 2])


def test_arrays_that_would_not_fit_are_not_allocated(folder, monkeypatch):
    monkeypatch.setattr("convlet.arguments._memory", lambda: 100)
    dataset = image_dataset_from_directory(folder, **OPTIONS)
    message = r"the folder must fit into the 1e-07 GB of memory, got 5 x 2 x 3 x 1 numbers of floa"
    with pytest.raises(ValueError, match=message):
        dataset.arrays()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"color_mode": "cmyk"},
            "color_mode must be one of 'grayscale', 'rgb', 'rgba', got 'cmyk'",
        ),
        ({"image_size": 0}, "image_size must be an integer of at least 1 or a tuple of 2 such"),
        ({"label_mode": "float"}, "label_mode must be one of 'int', 'categorical', 'binary', got"),
        ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
        (
            {"labels": [1]},
            "labels must be 'inferred', None, a .csv file, or a list of 5 labels, one",
        ),
        ({"labels": 3}, "labels must be 'inferred', None, a .csv file, or a list of 5 labels, one"),
        ({"labels": "a/notes.txt"}, "labels must be 'inferred', None, a list or a .csv file, got"),
        ({"labels": [-1, 0, 0, 0, 0]}, "labels must be an integer of at least 0, got -1"),
        ({"class_names": ["a"]}, "class_names must be the sub-folders of "),
        ({"class_names": ["a"], "labels": None}, "class_names goes with labels from sub-folders"),
        ({"subset": "both"}, "validation_split and subset must be given together"),
        ({"validation_split": 0.5}, "validation_split and subset must be given together"),
        (
            {"validation_split": 0.1, "subset": "both"},
            "validation_split must leave files on both s",
        ),
        (
            {"validation_split": 0.5, "subset": "test"},
            "subset must be one of 'training', 'validati",
        ),
        (
            {"validation_split": 0.5, "subset": "training", "shuffle": True},
            "seed must be given with",
        ),
        ({"shuffle": 1}, "shuffle must be True or False, got 1"),
        ({"seed": -1}, "seed must be an integer of at least 0, got -1"),
    ],
)
def test_arguments_that_will_not_do(folder, options, message):
    with refuses(message):
        image_dataset_from_directory(folder, **(OPTIONS | options))


def test_no_files(tmp_path):
    write(tmp_path / "1.png", 1)
    with refuses(f"{tmp_path} must hold files, in a sub-folder of it, that end in .png, .jpg, "):
        image_dataset_from_directory(tmp_path)
    with refuses(f"{tmp_path / 'absent'} is no folder", NotADirectoryError):
        image_dataset_from_directory(tmp_path / "absent")
