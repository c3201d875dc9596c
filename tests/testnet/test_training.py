import pytest
import torch

from interpret_segmentation.testnet import TestnetDataset, UNet, generate_dataset, load_network, train
from interpret_segmentation.testnet import train as train_function

pytestmark = pytest.mark.slow

train_module = __import__("sys").modules[train_function.__module__]


def small(folder, **options):
    torch.manual_seed(1)
    defaults = {"network": UNet(width=2, levels=2), "batch_size": 3, "progress": False, "epochs": 2}
    return train(folder, **(defaults | options))


@pytest.fixture
def folder(tmp_path):
    generate_dataset(tmp_path / "dataset", count=5, progress=False)
    return tmp_path


def table(folder):
    header, *lines = (folder / "results" / "testnet.txt").read_text().splitlines()
    return [dict(zip(header.split("\t"), map(float, line.split("\t")), strict=True)) for line in lines]


def test_every_epoch_is_printed_written_and_saved(folder, capsys):
    network = small(folder)
    printed = capsys.readouterr().out.splitlines()
    assert printed == (folder / "results" / "testnet.txt").read_text().splitlines()
    rows = table(folder)
    assert [row["epoch"] for row in rows] == [0, 1]
    figures = {f"{part}_{name}" for part in ("train", "val") for name in ("loss", "hausdorff", "dice")}
    assert set(rows[0]) == figures | {"epoch", "seconds"}
    assert all(row["train_loss"] > 0 and 0 <= row["val_dice"] <= 1 for row in rows)
    assert sorted(path.name for path in folder.glob("*.pth")) == ["testnet_0000.pth", "testnet_0001.pth"]
    last = load_network(folder / "testnet_0001.pth")
    assert all(
        torch.equal(a, b)
        for a, b in zip(last.state_dict().values(), network.state_dict().values(), strict=True)
    )


def test_the_loss_falls(folder):
    small(folder, epochs=6, learning_rate=1e-2)
    rows = table(folder)
    assert rows[-1]["train_loss"] < 0.9 * rows[0]["train_loss"]


def test_an_interrupted_run_that_is_resumed_ends_with_the_same_network(folder, tmp_path_factory, monkeypatch):
    whole = small(folder, epochs=3)
    other = tmp_path_factory.mktemp("other")
    (folder / "dataset").rename(other / "dataset")
    evaluate, epochs = train_module.evaluate, []

    def interrupted(*arguments):
        epochs.append(1)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(train_module, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        small(other, epochs=3)
    resumed = small(other, epochs=3, resume=True)
    for (name, ours), theirs in zip(resumed.state_dict().items(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)
    for ours, theirs in zip(table(other), table(folder), strict=True):
        assert {**ours, "seconds": 0} == pytest.approx({**theirs, "seconds": 0}, rel=1e-3)


def test_the_seed_decides(folder, tmp_path_factory):
    networks = []
    for seed in (0, 0, 1):
        other = tmp_path_factory.mktemp("run")
        (folder / "dataset").rename(other / "dataset")
        networks.append(small(other, seed=seed, epochs=1).state_dict())
        folder = other
    torch.testing.assert_close(networks[0], networks[1])
    assert any(not torch.equal(networks[0][name], networks[2][name]) for name in networks[0])


def test_an_earlier_run_is_not_overwritten(folder):
    small(folder, epochs=1)
    before = (folder / "testnet_0000.pth").read_bytes()
    with pytest.raises(FileExistsError, match="resume it, or remove"):
        small(folder)
    assert (folder / "testnet_0000.pth").read_bytes() == before


def test_nothing_to_resume(folder):
    with pytest.raises(FileNotFoundError, match="nothing to resume"):
        small(folder, resume=True)


def test_training_without_a_data_set(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"generate\.py"):
        small(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": 0}])
def test_options_must_be_positive(folder, wrong):
    with pytest.raises(ValueError, match="must be positive"):
        small(folder, **wrong)


def test_a_run_resumed_with_other_options_is_refused(folder):
    small(folder, epochs=1)
    for other in ({"epochs": 2}, {"learning_rate": 1e-3}, {"seed": 5}, {"network": UNet(width=3, levels=2)}):
        with pytest.raises(ValueError, match="the run was started with"):
            small(folder, resume=True, **({"epochs": 1} | other))


def test_a_finished_run_that_is_resumed_is_finished(folder):
    network = small(folder, epochs=1)
    resumed = small(folder, epochs=1, resume=True)
    torch.testing.assert_close(resumed.state_dict(), network.state_dict())
    assert len(table(folder)) == 1


def test_one_image_is_too_few(tmp_path):
    generate_dataset(tmp_path / "dataset", count=1, progress=False)
    with pytest.raises(ValueError, match="draw at least two"):
        small(tmp_path)


def test_every_epoch_has_an_order_of_its_own(folder, monkeypatch):
    seen = []
    read = TestnetDataset.get_sample
    monkeypatch.setattr(
        TestnetDataset, "get_sample", lambda self, name: seen.append(name) or read(self, name)
    )
    small(folder, epochs=3)
    epochs = [seen[first : first + 4] for first in (0, 5, 10)]
    assert all(sorted(names) == ["0", "1", "2", "3"] for names in epochs)
    assert len({tuple(names) for names in epochs}) > 1
