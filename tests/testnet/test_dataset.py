import numpy as np
import pytest
import torch
from PIL import Image

from interpret_segmentation.testnet import VARIANTS, TestnetDataset, draw_scene, generate_dataset, sample_of

pytestmark = pytest.mark.slow


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.png")}


def test_every_image_has_a_folder_with_image_segment_and_cue(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=3, seed=5, progress=False)
    assert sorted(p.name for p in folder.iterdir()) == ["0", "1", "2"]
    for index in range(3):
        scene = draw_scene(5, index)
        read = {name: np.asarray(Image.open(folder / str(index) / f"{name}.png"))
                for name in ("image", "segment", "cue")}  # fmt: skip
        np.testing.assert_array_equal(read["image"], scene.image())
        np.testing.assert_array_equal(read["segment"], 255 * scene.segmented.region())
        np.testing.assert_array_equal(read["cue"], 255 * scene.cue.region())


def test_the_seed_decides_and_the_count_does_not(tmp_path):
    few, many, other = (
        files(generate_dataset(tmp_path / str(n), count=count, seed=seed, progress=False))
        for n, (count, seed) in enumerate([(2, 0), (4, 0), (2, 1)])
    )
    assert few.items() <= many.items()
    assert few != other


def test_an_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="remove it first"):
        generate_dataset(tmp_path / "dataset", count=1, progress=False)
    assert [p.name for p in (tmp_path / "dataset").iterdir()] == ["mine.txt"]


def test_an_interrupted_generation_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("interpret_segmentation.testnet.dataset._write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        generate_dataset(tmp_path / "dataset", count=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_count_must_be_positive(tmp_path):
    with pytest.raises(ValueError, match="count must be at least 1"):
        generate_dataset(tmp_path / "dataset", count=0)


def test_a_sample_read_from_disk_is_the_sample_drawn(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=2, seed=1, progress=False)
    read, drawn = TestnetDataset(folder).get_sample("1"), sample_of(draw_scene(1, 1), "1")
    assert read.keys() == drawn.keys()
    assert read["filename"] == drawn["filename"]
    for name in ("input", "segment", "cue"):
        assert torch.equal(read[name], drawn[name])
    assert read["input"].shape == (1, 240, 240)
    assert 0.39 < read["input"].max() <= 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_can_be_written_and_read(tmp_path, variant):
    folder = generate_dataset(tmp_path / "dataset", count=2, seed=4, variant=variant, progress=False)
    read, drawn = TestnetDataset(folder).get_sample("1"), sample_of(draw_scene(4, 1, variant=variant))
    for name in ("input", "segment", "cue"):
        assert torch.equal(read[name], drawn[name])


def test_every_fourth_image_is_without_the_cue_where_it_is_required(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=8, seed=4, variant="required", progress=False)
    samples = list(TestnetDataset(folder))
    assert [bool(sample["cue"].any()) for sample in samples] == [True, True, True, False] * 2
    assert [bool(sample["segment"].any()) for sample in samples] == [True, True, True, False] * 2
    bare = draw_scene(4, 3, variant="required").without_cue()
    assert torch.equal(samples[3]["input"], sample_of(bare)["input"])
    assert not sample_of(bare)["segment"].any()


def test_photos_keep_their_colours(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=1, seed=4, variant="photo", progress=False)
    image = TestnetDataset(folder).get_sample("0")["input"]
    assert image.shape == (3, 240, 240)
    assert image.numpy().transpose(1, 2, 0) * 255 == pytest.approx(draw_scene(4, 0, variant="photo").image())


def test_an_unknown_variant_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="variant must be one of"):
        generate_dataset(tmp_path / "dataset", count=1, variant="harder", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_four_fifths_are_for_training(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=11, progress=False)
    train, validation, everything = (TestnetDataset(folder, p) for p in ("train", "validation", "all"))
    assert train.names == [str(n) for n in range(8)]
    assert validation.names == ["8", "9", "10"]
    assert [sample["filename"] for sample in everything] == train.names + validation.names
    assert len(everything) == 11
    assert everything[10]["filename"] == "10"


def test_a_folder_without_images_is_told_how_to_get_some(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"generate\.py"):
        TestnetDataset(tmp_path)


def test_a_broken_picture_is_named(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=1, progress=False)
    (folder / "0" / "cue.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"cue\.png is not a readable picture"):
        TestnetDataset(folder).get_sample("0")


def test_an_unknown_part_is_refused(tmp_path):
    folder = generate_dataset(tmp_path / "dataset", count=1, progress=False)
    with pytest.raises(ValueError, match="all, train, validation"):
        TestnetDataset(folder, "test")
