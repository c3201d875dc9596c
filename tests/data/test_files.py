import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin
from scipy import ndimage

from interpret_segmentation.data.files import read_image, read_reference
from interpret_segmentation.data.inputs import as_map

SPACE = (12, 17)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def whole(random, dtype, *channels):
    return random.integers(0, np.iinfo(dtype).max, (*SPACE, *channels), dtype=dtype, endpoint=True)


def saved(array, path, mode=None):
    picture = Image.fromarray(array)
    (picture if mode is None else picture.convert(mode)).save(path)
    return path


def written_png(path, depth, colour, width, rows):
    """A PNG made by hand, for the kinds that Pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_8_bit_pictures_are_divided_by_255(random, tmp_path, ending):
    numbers = whole(random, np.uint8)
    image = read_image(saved(numbers, tmp_path / f"a.{ending}"))
    assert image.dtype == np.float32
    assert image.shape == (1, *SPACE)
    np.testing.assert_array_equal(image[0], numbers.astype(np.float32) / np.float32(255))


def test_colours_come_first(random, tmp_path):
    numbers = whole(random, np.uint8, 3)
    image = read_image(saved(numbers, tmp_path / "a.PNG"))
    np.testing.assert_allclose(image, numbers.transpose(2, 0, 1) / 255, rtol=1e-6)


def test_a_jpeg_is_read_as_it_decodes(random, tmp_path):
    path = saved(whole(random, np.uint8, 3), tmp_path / "a.jpg")
    decoded = np.asarray(Image.open(path))
    np.testing.assert_allclose(read_image(path), decoded.transpose(2, 0, 1) / 255, rtol=1e-6)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_pictures_are_divided_by_65535(random, tmp_path, order):
    numbers = whole(random, np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", numbers, byteorder=order)
    saved(numbers, tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        np.testing.assert_array_equal(
            read_image(tmp_path / name)[0], numbers.astype(np.float32) / np.float32(65535)
        )
        np.testing.assert_array_equal(read_image(tmp_path / name, raw=True)[0], numbers)


def test_a_16_bit_png_is_the_same_to_an_older_pillow(random, tmp_path, monkeypatch):
    numbers = whole(random, np.uint16)
    path = saved(numbers, tmp_path / "a.png")
    monkeypatch.setitem(PngImagePlugin._MODES, (16, 0), ("I", "I;16B"))
    with Image.open(path) as picture:
        assert picture.mode == "I"
    np.testing.assert_array_equal(read_image(path)[0], numbers.astype(np.float32) / np.float32(65535))


@pytest.mark.parametrize("dtype", ["float32", "int32", "int16"])
def test_wide_and_floating_numbers_are_taken_as_they_are(random, tmp_path, dtype):
    numbers = (random.normal(size=SPACE) * 300).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    for raw in (False, True):
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif", raw=raw)[0], numbers.astype(np.float32))


def test_raw_leaves_8_bit_numbers_as_they_are(random, tmp_path):
    numbers = whole(random, np.uint8)
    np.testing.assert_array_equal(read_image(saved(numbers, tmp_path / "a.png"), raw=True)[0], numbers)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("mode", ["keep", "L"])
def test_1_bit_pictures_become_0_and_1(random, tmp_path, raw, mode):
    numbers = random.random(SPACE) > 0.5
    image = read_image(saved(numbers, tmp_path / "a.png"), raw=raw, mode=mode)
    np.testing.assert_array_equal(image[0], numbers)


def test_a_2_bit_picture_has_whole_numbers_when_raw_and_else_runs_from_0_to_1(tmp_path):
    path = written_png(tmp_path / "a.png", 2, 0, 4, [[0b00011011], [0b11100100]])
    labels = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    np.testing.assert_array_equal(read_image(path, raw=True)[0], labels)
    np.testing.assert_allclose(read_image(path)[0], labels / 3, rtol=1e-6)
    np.testing.assert_array_equal(read_reference(path), labels)


def palette(numbers, path, **options):
    picture = Image.fromarray(numbers).convert("P")
    picture.putdata(numbers.ravel().tolist())
    picture.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("options", [{}, {"transparency": 2}, {"transparency": bytes([9, 0, 200])}])
def test_a_palette_is_replaced_by_its_colours(random, tmp_path, options):
    indices = random.integers(0, 4, SPACE, dtype=np.uint8)
    image = read_image(palette(indices, tmp_path / "a.png", **options), raw=True)
    np.testing.assert_array_equal(image, [indices, 255 - indices, np.full(SPACE, 7)])


@pytest.mark.parametrize(("mode", "channels"), [("LA", 2), ("RGBA", 4)])
def test_transparency_is_a_channel_until_the_picture_is_converted(random, tmp_path, mode, channels):
    numbers = whole(random, np.uint8, channels)
    path = saved(numbers, tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path, raw=True), numbers.transpose(2, 0, 1))
    assert len(read_image(path, mode="L")) == 1
    colours = read_image(path, mode="RGB", raw=True)
    wanted = numbers[..., :3] if mode == "RGBA" else numbers[..., :1].repeat(3, axis=-1)
    np.testing.assert_array_equal(colours, wanted.transpose(2, 0, 1))


def test_cmyk_has_four_channels_until_the_picture_is_converted(tmp_path):
    path = tmp_path / "a.tif"
    Image.fromarray(np.zeros((*SPACE, 4), dtype=np.uint8)).convert("RGB").convert("CMYK").save(path)
    assert read_image(path).shape == (4, *SPACE)
    assert not read_image(path, mode="RGB").any()


def test_grey_is_the_luma_of_the_colours(random, tmp_path):
    numbers = whole(random, np.uint8, 3)
    image = read_image(saved(numbers, tmp_path / "a.png"), mode="L", raw=True)
    assert image.shape == (1, *SPACE)
    np.testing.assert_allclose(image[0], numbers @ [0.299, 0.587, 0.114], atol=1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_rgb_of_a_grey_picture_is_its_numbers_three_times(random, tmp_path, dtype):
    numbers = (random.random(SPACE) * 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    image = read_image(tmp_path / "a.tif", mode="RGB", raw=True)
    np.testing.assert_array_equal(image, np.stack([numbers] * 3))


def test_a_photo_is_turned_upright(random, tmp_path):
    numbers = whole(random, np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    for read, name in ((read_image, "a.png"), (read_reference, "b.png")):
        Image.fromarray(numbers).save(tmp_path / name, exif=exif)
        options = {"raw": True} if read is read_image else {}
        np.testing.assert_array_equal(np.squeeze(read(tmp_path / name, **options)), np.rot90(numbers, -1))


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_a_png_with_16_bits_in_several_channels_is_refused(tmp_path, colour, channels):
    path = written_png(tmp_path / "a.png", 16, colour, 3, [range(6 * channels)] * 2)
    with pytest.raises(ValueError, match=r"a\.png has 16 bits in each of several channels.*numpy\.save"):
        read_image(path)


@pytest.mark.parametrize(
    "options", [{}, {"compression": "deflate"}, {"planarconfig": "separate"}], ids=lambda o: str(o)
)
def test_a_tiff_with_16_bits_in_several_channels_is_refused(random, tmp_path, options):
    numbers = whole(random, np.uint16, 3)
    if "planarconfig" in options:
        numbers = np.ascontiguousarray(numbers.transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="rgb", **options)
    with pytest.raises(ValueError, match="has 16 bits in each of several channels"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (np.full(SPACE, -3, np.int8), "signed 8-bit numbers"),
        (np.full(SPACE, 2**31 + 5, np.uint32), "32-bit numbers"),
    ],
    ids=["int8", "uint32"],
)
def test_what_pillow_misreads_is_refused(tmp_path, numbers, words):
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    with pytest.raises(ValueError, match=words):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_pages_of_a_tiff_are_the_slices_of_a_volume(random, tmp_path, dtype):
    numbers = (random.random((5, *SPACE)) * 200).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="minisblack")
    image = read_image(tmp_path / "a.tif", dims=3, raw=True)
    assert image.shape == (1, 5, *SPACE)
    np.testing.assert_array_equal(image[0], numbers)
    np.testing.assert_array_equal(read_reference(tmp_path / "a.tif", dims=3), numbers)


def test_the_colours_of_a_volume_come_first(random, tmp_path):
    numbers = random.integers(0, 255, (5, *SPACE, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="rgb")
    image = read_image(tmp_path / "a.tif", dims=3)
    np.testing.assert_allclose(image, numbers.transpose(3, 0, 1, 2) / 255, rtol=1e-6)


@pytest.mark.parametrize("dims", [None, 2])
@pytest.mark.parametrize("read", [read_image, read_reference])
def test_several_pages_are_refused_where_no_volume_is_wanted(tmp_path, dims, read):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, *SPACE), np.uint8), photometric="minisblack")
    with pytest.raises(ValueError, match=r"a\.tif has 5 pages; pass --dims 3"):
        read(tmp_path / "a.tif", dims=dims)


def test_unequal_pages_are_no_volume(tmp_path):
    first, second = Image.new("L", (17, 12)), Image.new("L", (17, 11))
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second])
    with pytest.raises(ValueError, match=r"pages .* must be equal .* 11x17 L, 12x17 L"):
        read_image(tmp_path / "a.tif", dims=3)


def test_a_flat_picture_is_no_volume(tmp_path):
    path = saved(np.zeros((*SPACE, 3), np.uint8), tmp_path / "a.png")
    with pytest.raises(ValueError, match="is a flat picture, but volumes are wanted"):
        read_image(path, dims=3)


def test_previews_and_animations_beside_a_picture_are_left_out(random, tmp_path):
    numbers = whole(random, np.uint8, 3)
    picture, other = Image.fromarray(numbers), Image.new("RGB", SPACE[::-1])
    picture.save(tmp_path / "a.png", save_all=True, append_images=[other])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", raw=True), numbers.transpose(2, 0, 1))
    picture.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[other])
    with Image.open(tmp_path / "a.jpg") as both:
        assert both.n_frames == 2
    assert read_image(tmp_path / "a.jpg").any()


@pytest.mark.parametrize("shape", [SPACE, (3, *SPACE), (2, 5, *SPACE)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64", "bool"])
def test_numpy_files_are_taken_as_they_are(random, tmp_path, shape, dtype):
    numbers = (random.random(shape) * 200).astype(dtype)
    np.save(tmp_path / "a.npy", numbers)
    image = read_image(tmp_path / "a.npy")
    assert image.dtype == numbers.dtype
    np.testing.assert_array_equal(image, numbers)


class Boom:
    def __reduce__(self):
        return (pytest.fail, ("was unpickled",))


def test_nothing_is_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Boom()]), allow_pickle=True)
    with pytest.raises(ValueError, match=r"a\.npy is no array that numpy\.save wrote"):
        read_image(tmp_path / "a.npy")


def broken(tmp_path, kind):
    path = saved(np.arange(12 * 17 * 40, dtype=np.uint8).reshape(120, 68), tmp_path / "whole.png")
    if kind == "cut.png":
        (tmp_path / kind).write_bytes(path.read_bytes()[:-200])
    elif kind == "cut.npy":
        np.save(tmp_path / kind, np.zeros(SPACE))
        (tmp_path / kind).write_bytes((tmp_path / kind).read_bytes()[:-9])
    elif kind == "archive.npy":
        with (tmp_path / kind).open("wb") as file:
            np.savez(file, a=np.zeros(SPACE))
    elif kind == "folder.png":
        (tmp_path / kind).mkdir()
    elif kind == "moving.gif":
        Image.new("L", (4, 5)).save(tmp_path / kind)
    elif kind == "half.tif":
        tifffile.imwrite(tmp_path / kind, np.zeros(SPACE, np.float16))
    else:
        (tmp_path / kind).write_bytes({"empty": b"", "text": b"no picture"}[kind.split(".")[0]])
    return tmp_path / kind


@pytest.mark.parametrize(
    "kind",
    [
        "cut.png",
        "cut.npy",
        "archive.npy",
        "folder.png",
        "moving.gif",
        "half.tif",
        "empty.png",
        "empty.npy",
        "text.jpg",
        "text.npy",
    ],
)
@pytest.mark.parametrize("read", [read_image, read_reference])
def test_what_cannot_be_read_is_named(tmp_path, kind, read):
    with pytest.raises(ValueError, match=kind.replace(".", r"\.")):
        read(broken(tmp_path, kind))


@pytest.mark.parametrize("name", ["a.png", "a.npy"])
@pytest.mark.parametrize("read", [read_image, read_reference])
def test_a_missing_file_is_named(tmp_path, name, read):
    with pytest.raises(FileNotFoundError, match=f"there is no file .*{name}"):
        read(tmp_path / name)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = saved(np.zeros((20, 30), np.uint8), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(
        ValueError, match=r"cannot be read.*decompression bomb.*Cut out the part.*numpy\.save"
    ):
        read_image(path)
    # what the message says
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    np.save(tmp_path / "a.npy", np.asarray(Image.open(path)))
    assert read_image(tmp_path / "a.npy").shape == (20, 30)


@pytest.mark.filterwarnings("error")
def test_a_large_picture_is_read_without_a_warning_of_pillow(tmp_path, monkeypatch):
    path = saved(np.zeros((20, 30), np.uint8), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert read_image(path).shape == (1, 20, 30)


def test_an_unknown_mode_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mode must be one of keep, L, RGB, got 'HSV'"):
        read_image(tmp_path / "a.png", mode="HSV")


def test_255_counts_as_1_in_a_mask_of_nothing_else(random, tmp_path):
    mask = random.random(SPACE) > 0.5
    for name in ("a.png", "a.tif", "a.npy"):
        numbers = mask.astype(np.uint8) * 255
        if name == "a.npy":
            np.save(tmp_path / name, numbers)
        else:
            saved(numbers, tmp_path / name)
        np.testing.assert_array_equal(read_reference(tmp_path / name), mask)


def test_255_stays_where_there_are_other_labels(tmp_path):
    numbers = np.array([[0, 1, 255], [2, 0, 255]], np.uint8)
    np.testing.assert_array_equal(read_reference(saved(numbers, tmp_path / "a.png")), numbers)


def test_255_stays_in_wider_numbers(tmp_path):
    numbers = np.array([[0, 255, 255]], np.uint16)
    np.testing.assert_array_equal(read_reference(saved(numbers, tmp_path / "a.png")), numbers)


def test_an_empty_mask_stays_empty(tmp_path):
    assert not read_reference(saved(np.zeros(SPACE, np.uint8), tmp_path / "a.png")).any()


def test_255_counts_as_1_in_a_volume_as_a_whole(tmp_path):
    numbers = np.zeros((2, *SPACE), np.uint8)
    numbers[0, 3], numbers[1, 5] = 255, 1
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="minisblack")
    np.testing.assert_array_equal(read_reference(tmp_path / "a.tif", dims=3), numbers)


def test_the_labels_of_a_palette_are_its_indices(random, tmp_path):
    indices = random.integers(0, 4, SPACE, dtype=np.uint8)
    np.testing.assert_array_equal(read_reference(palette(indices, tmp_path / "a.png")), indices)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_a_mask_saved_in_colours_counts_when_it_is_grey(random, tmp_path, channels):
    mask = random.random(SPACE) > 0.5
    numbers = np.stack([mask.astype(np.uint8) * 255] * channels, axis=-1)
    if channels in (2, 4):
        numbers[..., -1] = 77
    np.testing.assert_array_equal(read_reference(saved(numbers, tmp_path / "a.png")), mask)


def test_a_mask_in_colours_is_refused(random, tmp_path):
    path = saved(whole(random, np.uint8, 3), tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"has colours \(RGB\), but a mask or labels have one number"):
        read_reference(path)


def test_a_1_bit_mask_is_read(random, tmp_path):
    mask = random.random(SPACE) > 0.5
    np.testing.assert_array_equal(read_reference(saved(mask, tmp_path / "a.png")), mask)


def blobs(space=(90, 120)):
    """A mask with wavy contours."""
    noise = np.random.default_rng(0).normal(size=space)
    return ndimage.gaussian_filter(noise, 6) > 0.01


def jpeg_of(mask, path, quality, *, orientation=1, mode="L"):
    entry = Image.Exif()
    entry[0x0112] = orientation
    picture = Image.fromarray((mask * 255).astype(np.uint8)).convert(mode)
    picture.save(path, "JPEG", quality=quality, exif=entry)
    return path


@pytest.mark.parametrize("quality", [30, 50, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_mask_in_a_jpeg_is_cut_at_128_with_a_note(tmp_path, quality, mode):
    mask = blobs()
    path = jpeg_of(mask, tmp_path / "truth.jpg", quality, mode=mode)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    with pytest.warns(UserWarning, match=r"truth\.jpg is a JPEG.*128 or more counts as 1"):
        truth = read_reference(path)
    assert set(np.unique(truth)) == {0, 1}
    assert np.count_nonzero(truth != mask) <= (10 if quality == 30 else 0)


def test_a_mask_in_a_jpeg_is_turned_upright(tmp_path):
    mask = blobs()
    with pytest.warns(UserWarning, match="is a JPEG"):
        truth = read_reference(jpeg_of(mask, tmp_path / "a.jpg", 90, orientation=6))
    np.testing.assert_array_equal(truth, np.rot90(mask, -1))


def test_a_mask_in_a_jpeg_is_told_of_as_a_pil_image_too(tmp_path):
    mask = blobs()
    with (
        Image.open(jpeg_of(mask, tmp_path / "a.jpg", 75, orientation=8)) as picture,
        pytest.warns(UserWarning, match="reference is a JPEG"),
    ):
        truth = as_map(picture, (120, 90), name="reference")
    np.testing.assert_array_equal(truth.numpy(), np.rot90(mask))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [False, True])
def test_a_jpeg_of_one_value_is_a_mask_without_a_note(tmp_path, value):
    truth = read_reference(jpeg_of(np.full((40, 50), value), tmp_path / "a.jpg", 75))
    np.testing.assert_array_equal(truth, value)


@pytest.mark.parametrize(
    "labels",
    [
        np.where(blobs(), 1, 0),
        np.where(blobs(), 200, 60),
        np.repeat([0, 5, 12, 255], 30)[None].repeat(90, axis=0),
        np.repeat([0, 127, 255], 40)[None].repeat(90, axis=0),
    ],
)
@pytest.mark.parametrize("quality", [75, 100])
def test_labels_in_a_jpeg_are_refused(tmp_path, labels, quality):
    Image.fromarray(labels.astype(np.uint8)).save(tmp_path / "truth.jpg", quality=quality)
    with pytest.raises(ValueError, match=r"truth\.jpg is a JPEG.*labels.*save the ground truth as PNG"):
        read_reference(tmp_path / "truth.jpg")


def test_a_photo_as_ground_truth_is_refused(tmp_path):
    noise = np.random.default_rng(0).normal(size=(90, 120))
    photo = 128 + 60 * ndimage.gaussian_filter(noise, 3) / ndimage.gaussian_filter(noise, 3).std()
    Image.fromarray(photo.clip(0, 255).astype(np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="is a JPEG"):
        read_reference(tmp_path / "a.jpg")


def test_greys_in_a_png_are_left_for_the_user_to_decide(tmp_path):
    greys = np.array([[0, 3, 250, 255]], np.uint8)
    np.testing.assert_array_equal(read_reference(saved(greys, tmp_path / "a.png")), greys)


def test_a_volume_of_jpegs_in_a_tiff_is_a_mask(tmp_path):
    pages = [Image.fromarray((mask * 255).astype(np.uint8)) for mask in (blobs(), blobs()[::-1])]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], compression="jpeg", quality=75)
    with pytest.warns(UserWarning, match="is a JPEG"):
        truth = read_reference(tmp_path / "a.tif", dims=3)
    np.testing.assert_array_equal(truth, [blobs(), blobs()[::-1]])
