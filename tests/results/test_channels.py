import numpy as np
import pytest
import torch

from interpret_segmentation import (
    HDM,
    RISE,
    ChannelExplanations,
    Explanation,
    HausdorffDistanceMasks,
    Occlusion,
    explain,
    explain_channels,
)

pytestmark = pytest.mark.slow

NAMES = ("T1", "T2", "FLAIR")


def picture(space=(17, 26)):
    image = torch.full((3, *space), 0.1)
    image[..., 4:12, 6:19] = 1
    return image


def weighted(images):
    """Looks at the first channel a little, at the second a lot, at the third not at all."""
    weights = torch.tensor([0.2, 0.8, 0.0]).view(1, 3, *[1] * (images.ndim - 2))
    return (images * weights).sum(dim=1, keepdim=True).clamp(0, 1)


def maps(method="occlusion", model=weighted, image=None, **settings):
    if method == "occlusion":
        settings = {"score": "probability", "size": 5, "offset": 4} | settings
    return explain_channels(model, picture() if image is None else image, method, progress=False, **settings)


@pytest.mark.parametrize("method", ["hdm", "rise", "occlusion"])
def test_each_map_is_that_of_hiding_its_channel_alone(method):
    settings = {"N": 60, "seed": 4} if method == "rise" else {"channel": None}
    settings.pop("channel", None)
    made = maps(method, names=NAMES, **settings)
    assert len(made) == 3
    assert made.names == NAMES
    if method == "occlusion":
        settings |= {"score": "probability", "size": 5, "offset": 4}
    for number, one in enumerate(made):
        alone = explain(weighted, picture(), method, channel=number, progress=False, **settings)
        np.testing.assert_array_equal(one.saliency, alone.saliency)
        np.testing.assert_array_equal(one.saliency, alone.saliency)
        assert one.settings["channel"] == number
    assert made.saliency.shape == (3, 17, 26)
    np.testing.assert_array_equal(made.saliency[1], made[1].saliency)


@pytest.mark.parametrize("method", ["rise", "occlusion"])
def test_the_channel_that_decides_has_the_largest_map_on_one_scale(method):
    made = maps(method, names=NAMES, **({"N": 200} if method == "rise" else {}))
    importance = made.importance
    assert list(importance) == list(NAMES)
    assert importance["T2"] > 2 * importance["T1"] > 0
    assert importance["FLAIR"] == pytest.approx(0, abs=1e-6)
    assert {one.unit for one in made} == {""}
    assert len({one.meaning for one in made}) == 1
    assert importance["T2"] == made.saliency[1].max()


@pytest.mark.parametrize("method", [
    HDM(circle_size=5, offset=4), Occlusion(size=5, offset=4, channel=2), RISE(N=30, seed=1),
], ids=str)  # fmt: skip
def test_methods_as_objects(method):
    made = maps(method)
    assert [one.settings["channel"] for one in made] == [0, 1, 2]
    assert made.names == ("0", "1", "2")


@pytest.mark.parametrize("method", ["rise", RISE(N=30)])
def test_without_a_seed_all_channels_see_the_same_masks(method):
    settings = {"N": 30} if method == "rise" else {}
    made = maps(method, **settings)
    assert len({one.seed for one in made}) == 1
    assert made[0].seed is not None
    assert maps(method, **settings)[0].seed != made[0].seed
    for one in made:
        assert torch.equal(one.masks.render(0, 30), made[0].masks.render(0, 30))


def test_volumes_and_images_of_one_channel():
    made = maps(image=picture((5, 17, 26)), dims=3, size=4, offset=6, target="component")
    assert made.saliency.shape == (3, 5, 17, 26)
    one = maps(model=lambda images: images[:, :1], image=picture()[0], names=["grey"])
    assert one.saliency.shape == (1, 17, 26)
    assert list(one.importance) == ["grey"]


def test_what_explain_takes_is_passed_on():
    truth = np.zeros((17, 26), dtype=bool)
    truth[5:13, 5:18] = True
    made = maps(
        target="border:2", reference=truth, fill="mean", batch_size=3, score="hausdorff", spacing=(2, 1)
    )
    assert {one.unit for one in made} == {"unit of the spacing"}
    for number, one in enumerate(made):
        assert one.settings["batch_size"] == 3
        alone = explain(
            weighted, picture(), "occlusion", target="border:2", reference=truth, fill="mean",
            score="hausdorff", spacing=(2, 1), size=5, offset=4, channel=number, progress=False,
        )  # fmt: skip
        np.testing.assert_array_equal(one.saliency, alone.saliency)


@pytest.mark.parametrize("method", ["hdm", "rise", "occlusion"])
def test_saved_and_loaded_they_are_equal_and_can_be_made_again(tmp_path, method):
    made = maps(method, names=NAMES, **({"N": 30} if method == "rise" else {}))
    path = made.save(tmp_path / "new" / "channels.safetensors")
    loaded = ChannelExplanations.load(path)
    assert loaded == made
    assert loaded.names == NAMES
    for one, other in zip(loaded, made, strict=True):
        assert type(one) is type(other)
        np.testing.assert_array_equal(one.repeat(weighted, progress=False).saliency, other.saliency)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        made.save(path)
    made.save(path, overwrite=True)
    other = maps(method, names=("a", "b", "c"), **({"N": 30} if method == "rise" else {}))
    assert other != loaded


def test_a_channel_that_makes_an_error_is_important_whatever_the_sign():
    def bright(images):
        return images[:, 1:2] * torch.ones_like(images[:, :1])

    image = torch.zeros(2, 20, 30)
    image[1, 5:9, 6:11] = 1
    made = explain_channels(
        bright, image, "occlusion", reference=np.zeros((20, 30)), score="mse", progress=False
    )
    assert made[1].saliency.max() == 0
    assert made.importance["0"] == 0
    assert made.importance["1"] > 0


class TestWrongInput:
    def test_a_channel_is_not_for_this(self):
        with pytest.raises(TypeError, match=r"use explain\(channel=...\)"):
            maps(channel=1)

    @pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c", "d")])
    def test_names_must_be_as_many_as_channels(self, names):
        with pytest.raises(ValueError, match=f"there are 3 channels, but {len(names)} names"):
            maps(names=names)

    def test_and_that_is_said_before_the_work(self):
        asked = []

        def counting(images):
            asked.append(len(images))
            return weighted(images)

        with pytest.raises(ValueError, match="there are 3 channels"):
            maps(model=counting, names=("a",))
        assert not asked

    def test_two_channels_of_one_name(self):
        with pytest.raises(ValueError, match="'T1'"):
            maps(names=("T1", "T2", "T1"))

    def test_names_in_an_array(self):
        assert maps(names=np.array(NAMES)).names == NAMES

    @pytest.mark.parametrize("method", [HausdorffDistanceMasks(26, 17), 3, None])
    def test_methods_that_do_not_know_channels(self, method):
        with pytest.raises(
            TypeError, match="explain_channels needs a method by name, HDM, Occlusion or RISE"
        ):
            maps(method)

    def test_unknown_methods_and_settings(self):
        with pytest.raises(ValueError, match="there is no method 'lime'"):
            maps("lime")
        with pytest.raises(TypeError, match="'hdm' has no setting 'siz'"):
            maps("hdm", siz=3)
        with pytest.raises(TypeError, match="must be set in the method itself"):
            maps(HDM(), circle_size=3)

    @pytest.mark.parametrize(
        "image", ["cat.png", torch.zeros(20, 20, 3), torch.full((3, 9, 9), torch.nan)], ids=str
    )
    def test_images_that_are_none(self, image):
        with pytest.raises((TypeError, ValueError), match="image "):
            maps(image=image)

    def test_a_file_with_one_map_and_one_with_several(self, tmp_path):
        one = explain(weighted, picture(), "hdm", progress=False).save(tmp_path / "one")
        several = maps().save(tmp_path / "several")
        with pytest.raises(ValueError, match=r"load it with Explanation\.load"):
            ChannelExplanations.load(one)
        with pytest.raises(ValueError, match=r"load it with ChannelExplanations\.load"):
            Explanation.load(several)

    def test_the_other_kind_of_file_is_not_called_damaged(self, tmp_path):
        with pytest.raises(ValueError, match="load it with") as raised:
            Explanation.load(maps().save(tmp_path / "several"))
        assert "damaged" not in str(raised.value)

    def test_a_damaged_file(self, tmp_path):
        path = maps().save(tmp_path / "file")
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match="damaged"):
            ChannelExplanations.load(path)
