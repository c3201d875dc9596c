import copy
import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from interpret_segmentation import Region, SegmentationModel, explain
from interpret_segmentation.evaluate.sanity import cascading_randomisation, random_target
from interpret_segmentation.evaluate.similarity import agreement

pytestmark = pytest.mark.slow

SPACE = (16, 25)


class Network(nn.Module):
    """Two convolutions, a norm, a head and a scale of its own, registered from input to output."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.head = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images):
        return 5 * self.head(self.body(images))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = Network()
        nn.init.normal_(built.body[1].weight, 1, 0.3)
        nn.init.normal_(built.body[1].running_mean, 0, 0.1)
    return built.eval()


def picture():
    image = 0.3 * torch.rand(1, *SPACE, generator=torch.Generator().manual_seed(0))
    image[..., 4:10, 6:17] += 0.6
    return image


def patch():
    region = np.zeros(SPACE, dtype=bool)
    region[4:8, 6:11] = region[7, 6:15] = True
    return region


def explained(model, target=None, **settings):
    settings = {"score": "mse", "size": 4, "offset": 3} | settings
    target = Region(patch()) if target is None else target
    return explain(
        model, picture(), "occlusion", target=target, activation="sigmoid", progress=False, **settings
    )


def state(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def randomised(model, explanation=None, **options):
    explanation = explained(model) if explanation is None else explanation
    return cascading_randomisation(model, explanation, progress=False, **options)


class TestRandomisation:
    def test_goes_from_the_output_to_the_input(self):
        judged = randomised(network())
        assert [(step.depth, step.layers) for step in judged.steps] == [
            (1, ("head",)), (2, ("body.1",)), (3, ("body.0",)),
        ]  # fmt: skip

    def test_each_map_is_that_of_a_network_whose_last_layers_are_new(self):
        model, seen = network(), []

        class Spied(Network):
            def forward(self, images):
                seen.append(state(self))
                return super().forward(images)

        spied = Spied().eval()
        spied.load_state_dict(model.state_dict())
        judged = randomised(spied, explained(spied))
        trained = model.state_dict()
        new = [{name for name in trained if (found[name] != trained[name]).any()} for found in seen]
        stages = [names for names, before in zip(new, [None, *new], strict=False) if names != before]
        assert stages == [
            set(),
            {"head.weight", "head.bias"},
            {"head.weight", "head.bias", "body.1.weight", "body.1.running_mean"},
            {
                "head.weight", "head.bias", "body.1.weight", "body.1.running_mean", "body.0.weight",
                "body.0.bias",
            },
        ]  # fmt: skip

        rebuilt = copy.deepcopy(model)
        rebuilt.load_state_dict(seen[-1])
        again = explained(rebuilt)
        np.testing.assert_allclose(again.saliency, judged.steps[-1].saliency, atol=1e-6)
        assert judged.last.spearman == pytest.approx(agreement(explained(model), again).spearman, abs=1e-3)

    def test_leaves_the_network_and_the_random_state_as_they_were(self):
        model = network().train()
        model.head.weight.requires_grad_(False)
        calls = []
        model.register_forward_hook(lambda *_: calls.append(1))
        explanation, before = explained(model), state(model)
        torch.manual_seed(7)
        randomised(model, explanation)
        drawn = torch.rand(3)
        torch.manual_seed(7)
        assert torch.equal(drawn, torch.rand(3))
        assert model.training
        assert not model.head.weight.requires_grad
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())

    def test_is_the_same_for_the_same_seed_and_another_for_another(self):
        model = network()
        explanation = explained(model)
        one, same, other = (randomised(model, explanation, seed=seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.steps[0].saliency, same.steps[0].saliency)
        assert one.rows() == same.rows()
        assert (one.steps[0].saliency != other.steps[0].saliency).any()

    def test_several_layers_can_go_at_once_and_end_at_the_same_network(self):
        model = network()
        explanation = explained(model)
        one_by_one, at_once = randomised(model, explanation), randomised(model, explanation, steps=2)
        assert [step.layers for step in at_once.steps] == [("head", "body.1"), ("body.0",)]
        assert [step.depth for step in at_once.steps] == [2, 3]
        np.testing.assert_array_equal(one_by_one.steps[-1].saliency, at_once.steps[-1].saliency)
        assert len(randomised(model, explanation, steps=99).steps) == 3

    def test_takes_the_layers_that_it_is_told_a_name_standing_for_all_in_it(self):
        judged = randomised(network(), layers=["body", "head"])
        assert [step.layers for step in judged.steps] == [("body",), ("head",)]

    def test_costs_what_the_maps_cost(self):
        model = network()
        explanation = explained(model)
        judged = randomised(model, explanation)
        assert judged.forwards == 4 * explanation.run["forwards"]
        assert sum(row["forwards"] for row in judged.rows()) == 3 * explanation.run["forwards"]

    def test_a_map_that_does_not_look_at_the_network_stays(self):
        class Blind:
            def run(self, case):
                from interpret_segmentation import Explanation

                return Explanation(case.pixels[0].numpy(), **case.record("blind", {}))

        model = network()
        explanation = explain(model, picture(), Blind(), target=patch(), progress=False)
        judged = randomised(model, explanation, method=Blind())
        assert judged.last.as_dict() == pytest.approx({"spearman": 1, "ssim": 1, "top_overlap": 1})

    def test_a_map_that_depends_on_the_weights_changes(self):
        class Far(nn.Module):
            """Draws the left half when a learnt set of pixels is bright: a patch on the right."""

            def __init__(self):
                super().__init__()
                self.looks_at = nn.Linear(SPACE[0] * SPACE[1], 1)
                cue = np.zeros(SPACE, dtype=np.float32)
                cue[2:9, 14:20] = 1
                with torch.no_grad():
                    self.looks_at.weight.copy_(torch.from_numpy(cue).flatten())

            def forward(self, images):
                half = (torch.arange(SPACE[1]) < SPACE[1] // 2).float().expand(SPACE)
                return torch.sigmoid(self.looks_at(images.flatten(1)) / 20)[:, :, None, None] * half

        model = Far().eval()
        explanation = explain(
            model,
            picture(),
            "occlusion",
            shape="circle",
            score="probability",
            size=4,
            offset=2,
            target=patch(),
            progress=False,
        )
        for seed in range(3):
            judged = randomised(model, explanation, seed=seed)
            assert judged.last.spearman < 0.7
            assert judged.last.top_overlap < 0.5

    @pytest.mark.parametrize("method", ["hdm", "rise", "occlusion"])
    def test_a_randomised_network_that_draws_nothing_is_no_error(self, method):
        class Drawing(nn.Module):
            """Draws what is bright; with a new bias, often nothing."""

            def __init__(self):
                super().__init__()
                self.scale = nn.Conv2d(1, 1, 1)
                nn.init.constant_(self.scale.weight, 12)
                nn.init.constant_(self.scale.bias, -6)

            def forward(self, images):
                return self.scale(images).clamp(min=-6.0)

        model = Drawing().eval()
        settings = {"N": 30, "s": 4, "seed": 0} if method == "rise" else {}
        explanation = explain(model, picture(), method, activation="sigmoid", progress=False, **settings)
        assert explanation.target.kind == "class"
        assert explanation.segment.any()
        for seed in range(4):
            judged = randomised(model, explanation, seed=seed)
            np.testing.assert_array_equal(judged.original.pixels, explanation.pixels)
            assert np.isfinite(judged.last.spearman)

    def test_maps_are_compared_where_they_are_told_to(self):
        model = network()
        explanation = explained(model)
        judged = randomised(model, explanation, within=patch(), fraction=0.3)
        for step in judged.steps:
            wanted = agreement(judged.original, step.saliency, within=patch(), fraction=0.3)
            assert step.agreement == wanted
        moved = random_target(model, explanation, within=patch(), fraction=0.3)
        assert moved.agreement == agreement(moved.original, moved.other, within=patch(), fraction=0.3)

    def test_takes_a_model_with_its_options(self):
        model = network()
        asked = SegmentationModel(model, activation="sigmoid", preprocess=lambda batch: 2 * batch)
        explanation = explain(
            asked, picture(), "occlusion", score="mse", target=patch(), size=4, offset=3, progress=False
        )
        judged = randomised(asked, explanation)
        np.testing.assert_array_equal(judged.original.saliency, explanation.saliency)
        assert judged.last.spearman < 0.999

    def test_layers_without_a_way_to_reset_are_drawn_from_their_own_distribution(self):
        seen = []

        class Own(nn.Module):
            def __init__(self):
                super().__init__()
                generator = torch.Generator().manual_seed(0)
                self.weight = nn.Parameter(3 + 2 * torch.randn(1, 1, 160, 250, generator=generator))
                self.constant = nn.Parameter(torch.ones(4))
                self.single = nn.Parameter(torch.tensor(5.0))

            def forward(self, images):
                seen.append(state(self))
                return torch.sigmoid(images * self.weight[..., :16, :25] * self.single)

        model = Own()
        explanation = explain(model, picture(), "occlusion", score="mse", target=patch(), progress=False)
        randomised(model, explanation)
        old, new = seen[0], seen[-1]
        assert not torch.equal(old["weight"], new["weight"])
        assert new["weight"].mean().item() == pytest.approx(old["weight"].mean().item(), abs=0.05)
        assert new["weight"].std().item() == pytest.approx(old["weight"].std().item(), rel=0.02)
        assert torch.equal(old["constant"], new["constant"])
        assert old["single"] != new["single"]

    def test_weights_that_a_reset_does_not_reach_are_drawn_all_the_same(self):
        model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 3, padding=1)))
        explanation = explained(model)
        judged = randomised(model, explanation)
        assert (judged.original.saliency != judged.steps[-1].saliency).any()

    def test_refuses_what_has_no_weights(self):
        model = network()
        explanation = explained(model)
        with pytest.raises(
            TypeError, match=r"only the weights of a torch.nn.Module.*got function; pass the mo"
        ):
            randomised(lambda batch: model(batch), explanation)
        with pytest.raises(TypeError, match="Identity has no weights"):
            randomised(nn.Identity(), explanation)

    def test_says_which_layers_there_are(self):
        model = network()
        explanation = explained(model)
        with pytest.raises(ValueError, match=r"no layer 'tail'; it has 'head', 'body.1', 'body.0'"):
            randomised(model, explanation, layers=["tail"])
        with pytest.raises(ValueError, match=r"'body.2' has no weights"):
            randomised(model, explanation, layers=["body.2"])
        for wrong in ("head", []):
            with pytest.raises(ValueError, match="layers must be a list of names"):
                randomised(model, explanation, layers=wrong)
        with pytest.raises(ValueError, match="seed must be a whole number"):
            randomised(model, explanation, seed=None)
        with pytest.raises(ValueError, match="steps must be at least 1"):
            randomised(model, explanation, steps=0)

    def test_needs_explained_pixels(self):
        model = network()
        explanation = dataclasses.replace(explained(model), pixels=np.zeros(SPACE, dtype=bool))
        with pytest.raises(ValueError, match="explains no pixel"):
            randomised(model, explanation)


@pytest.mark.parametrize("check", [cascading_randomisation, random_target])
def test_another_target_is_to_be_explained_first(check):
    model = Network()
    with pytest.raises(ValueError, match="explain the other target, and judge that explanation"):
        check(model, explained(model), target=(1, 2), progress=False)


def test_the_seed_is_0_unless_another_is_given():
    model = network()
    explanation = explained(model)
    unsaid, said, other = {}, {"seed": 0}, {"seed": 1}
    last = [randomised(model, explanation, steps=1, **seed).last for seed in (unsaid, said, other)]
    assert last[0] == last[1] != last[2]
    places = [random_target(model, explanation, **seed).pixels for seed in (unsaid, said, other)]
    np.testing.assert_array_equal(places[0], places[1])
    assert (places[0] != places[2]).any()


def test_progress_is_shown_unless_it_is_not_wanted(capsys):
    model = network()
    explanation = explained(model)
    randomised(model, explanation, steps=1)
    assert "Randomisation" not in capsys.readouterr().err
    cascading_randomisation(model, explanation, steps=1)
    assert "Randomisation" in capsys.readouterr().err


class TestThePlot:
    def test_is_wide_enough_to_name_each_step(self):
        judged = randomised(network())
        widths = []
        for count in (3, 20):
            axes = dataclasses.replace(judged, steps=judged.steps[:1] * count).plot()
            widths.append(axes.figure.get_figwidth())
            plt.close(axes.figure)
        assert widths == pytest.approx([5.5, 9.4])

    def test_shows_each_similarity_from_the_trained_network_on(self):
        judged = randomised(network())
        axes = judged.plot()
        lines = {line.get_label(): line.get_ydata() for line in axes.lines[:3]}
        np.testing.assert_allclose(
            lines["Spearman"], [1, *(step.agreement.spearman for step in judged.steps)]
        )
        np.testing.assert_allclose(lines["SSIM"], [1, *(step.agreement.ssim for step in judged.steps)])
        names = [tick.get_text() for tick in axes.get_xticklabels()]
        assert names == ["trained", "head", "body.1", "body.0"]
        plt.close(axes.figure)

    def test_draws_into_given_axes_and_counts_many_layers(self):
        judged = randomised(network())
        step = judged.steps[0]
        many = dataclasses.replace(
            judged, steps=tuple(dataclasses.replace(step, depth=n + 1) for n in range(40))
        )
        figure, axes = plt.subplots()
        assert many.plot(axes, title="mine") is axes
        assert axes.get_title() == "mine"
        assert axes.get_xlabel() == "steps from the output"
        figure.canvas.draw()
        plt.close(figure)


class TestARandomTarget:
    def test_has_the_size_and_the_shape_elsewhere(self):
        model = network()
        explanation = explained(model)
        for seed in range(6):
            judged = random_target(model, explanation, seed=seed)
            moved = np.argwhere(judged.pixels)
            np.testing.assert_array_equal(
                moved - moved.min(axis=0), np.argwhere(patch()) - np.argwhere(patch()).min(axis=0)
            )
            assert not (judged.pixels & patch()).any()

    def test_is_somewhere_else_for_another_seed(self):
        model = network()
        explanation = explained(model)
        places = {random_target(model, explanation, seed=seed).pixels.tobytes() for seed in (0, 0, 1, 2, 3)}
        assert 2 < len(places) < 5

    def test_compares_two_maps_made_in_the_same_way(self):
        model = network()
        explanation = explained(model)
        judged = random_target(model, explanation)
        np.testing.assert_array_equal(judged.original.saliency, explanation.saliency)
        np.testing.assert_array_equal(
            judged.other.saliency, explained(model, target=Region(judged.pixels)).saliency
        )
        assert judged.agreement == agreement(judged.original, judged.other)
        assert judged.agreement.top_overlap < 0.5
        assert judged.forwards == 2 * explanation.run["forwards"]

    def test_scattered_pixels_are_as_many_and_others(self):
        model = network()
        judged = random_target(model, explained(model), scattered=True)
        assert judged.pixels.sum() == patch().sum()
        assert not (judged.pixels & patch()).any()

    def test_where_there_is_no_free_place_the_overlap_is_smallest(self):
        model, large = network(), np.zeros(SPACE, dtype=bool)
        large[1:15, 2:24] = True
        judged = random_target(model, explained(model, target=Region(large)))
        candidates = [
            (np.roll(large, (down - 1, right - 2), (0, 1)) & large).sum()
            for down in range(3)
            for right in range(4)
        ]
        assert (judged.pixels & large).sum() == min(candidates)

    def test_a_target_from_side_to_side_can_be_scattered_only(self):
        model, full = network(), np.zeros(SPACE, dtype=bool)
        full[0], full[-1, 0], full[0, -1] = True, True, True
        explanation = explained(model, target=Region(full))
        with pytest.raises(ValueError, match="no other place for them; pass scattered=True"):
            random_target(model, explanation)
        assert random_target(model, explanation, scattered=True).pixels.sum() == full.sum()

    def test_takes_any_model(self):
        def bright(batch):
            return batch.clamp(0, 1)

        explanation = explain(bright, picture(), "hdm", progress=False)
        assert random_target(bright, explanation).agreement.top_overlap < 0.9
