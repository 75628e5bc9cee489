"""The report of a captioner: what it says of unseen clips, what of that is right, and when it stays silent."""

from collections.abc import Sequence
from dataclasses import dataclass

from kinora.captioning.abstention import Calibration, Familiar
from kinora.captioning.accuracy import Accuracy, WordAccuracy, accuracy, word_accuracy
from kinora.captioning.trained import Draft, draft, strangeness
from kinora.models.captioner import Captioner, sample_frames
from kinora.report import Clip, Page
from kinora.training.captioner_clips import Example, evenly
from kinora.training.checkpoints import Checkpoints
from kinora.training.report import training_page

CLIPS_SHOWN, WRONG_SHOWN = 24, 8


@dataclass(frozen=True)
class Measured:
    """What a captioner would say of unseen clips, and of which of them it does."""

    examples: Sequence[Example]
    drafts: Sequence[Draft]
    spoken: Sequence[bool]

    def attributes(self) -> Accuracy:
        """Return how right the drafts are for simulated clips, by attribute."""
        pairs = zip(self.drafts, self.examples, strict=True)
        return accuracy((one.caption, e.truth) for one, e in pairs if e.truth is not None)

    def words(self) -> WordAccuracy:
        """Return how right the drafts are for clips of people, by word."""
        pairs = zip(self.drafts, self.examples, strict=True)
        return word_accuracy([(one.caption, e.caption) for one, e in pairs if e.truth is None])

    def wrong(self) -> list[bool]:
        """Return which drafts are wrong."""
        return [e.is_wrong(one.caption) for one, e in zip(self.drafts, self.examples, strict=True)]

    def metrics(self) -> dict[str, float]:
        """Return the accuracy of all drafts; `coverage`, the share said, and `spoken_wrong`, of those the wrong."""
        said = [wrong for wrong, spoken in zip(self.wrong(), self.spoken, strict=True) if spoken]
        shares = {"coverage": len(said) / len(self.spoken)} if self.spoken else {}
        if said:
            shares["spoken_wrong"] = sum(said) / len(said)
        return {**self.attributes().metrics(), **self.words().metrics(), **shares}


def measure(
    captioner: Captioner, calibration: Calibration, familiar: Familiar, examples: Sequence[Example]
) -> Measured:
    """Caption unseen clips."""
    drafts = draft(captioner, [sample_frames(e.frames, e.fps, captioner.config) for e in examples])
    strange = strangeness(familiar, drafts)
    spoken = [calibration.speaks(one.confidence, how) for one, how in zip(drafts, strange, strict=True)]
    return Measured(examples, drafts, spoken)


def captioner_page(
    metrics: dict[str, float], measured: Measured, calibration: Calibration, checkpoints: Checkpoints
) -> Page:
    """Return the report: when it speaks, accuracy, the course of training, and unseen clips with what was written."""
    simulated = metrics["simulated_examples"]
    own = f", {simulated:,.0f} of them simulated because the dataset has too few" if simulated else ""
    attributes = measured.attributes()
    page = training_page(
        "Captioner",
        f"Learned from {metrics['examples']:,.0f} captioned clips{own}. {_speaking(calibration)}",
        {f"{name} right": f"{share:.1%}" for name, share in attributes.shares().items()},
        checkpoints,
        "cross-entropy of the next word, nats",
        "The captions of the same unseen clips at several steps; those that are wrong are marked.",
    )
    page.heading("When it speaks").table(calibration_rows(calibration, measured, metrics), _speaking(calibration))
    if any(attributes.measured.values()):
        page.heading("Attributes that are right, on unseen clips")
        page.table(
            attributes.rows(),
            "Each caption is parsed and compared with what its clip shows, also those that it is not sure of enough to "
            "say; an image has no motion.",
        )
    if metrics["measured_words"]:
        page.heading("Words that are right, on unseen clips")
        page.table(
            _word_rows(metrics),
            "Nouns, verbs, colours and other words of content; also of captions that it is not sure of enough to say. "
            "What a person did not mention may be true all the same.",
        )
    page.heading("What the finished model writes")
    if not measured.examples:
        return page.text("The dataset has no captioned clip that was kept from training to show it on.")
    page.text("Of unseen clips; what it is not sure of enough to say is marked as abstained.")
    return page.clips(_shown(measured))


def calibration_rows(calibration: Calibration, measured: Measured, metrics: dict[str, float]) -> list[dict[str, str]]:
    """Return a table of a calibration, and of what came of it on clips that it was not calibrated on."""
    rows = [
        {
            "": "calibrated on",
            "captions": f"{calibration.clips:,}",
            "said": f"{calibration.coverage:.1%}",
            "of those wrong": f"{calibration.wrong:.1%}" if calibration.coverage else "none said",
            f"wrong at most, with {calibration.certainty:.0%} certainty": f"{calibration.bound:.1%}",
        }
    ]
    if "coverage" in metrics:
        rows.append(
            {
                "": "measured on others",
                "captions": f"{len(measured.examples):,}",
                "said": f"{metrics['coverage']:.1%}",
                "of those wrong": f"{metrics['spoken_wrong']:.1%}" if "spoken_wrong" in metrics else "none said",
                f"wrong at most, with {calibration.certainty:.0%} certainty": "",
            }
        )
    return rows


def _speaking(calibration: Calibration) -> str:
    if calibration.silence:
        return f"It never speaks, and clips without a caption stay without: {calibration.silence}."
    return (
        f"It speaks where it is at least {calibration.least_confidence:.1%} sure of its least likely word, and has "
        "learned from clips that look alike, and the clip does not look foreign, so that at most "
        f"{calibration.risk:.0%} of what it says is wrong."
    )


def _word_rows(metrics: dict[str, float]) -> list[dict[str, str]]:
    names = {
        "word_precision": "written words that the person's caption has",
        "word_recall": "its words that were written",
    }
    return [
        {
            "": what,
            "share": f"{metrics[name]:.1%}" if name in metrics else "not measured",
            "measured on": f"{metrics['measured_words']:,.0f} clips",
        }
        for name, what in names.items()
    ]


def _shown(measured: Measured) -> list[Clip]:
    rows = list(zip(measured.examples, measured.drafts, measured.spoken, measured.wrong(), strict=True))
    wrong = [row for row in rows if row[3] and row[2]][:WRONG_SHOWN]
    others = [row for row in rows if not (row[3] and row[2])]
    # Evenly over the unseen, so that images and videos of every size are among them.
    return [
        Clip(
            e.frames,
            e.fps or 1.0,
            one.caption if spoken else f"Abstained ({one.confidence:.0%} sure): {one.caption}",
            e.note(one.caption),
            failed and spoken,
        )
        for e, one, spoken, failed in [*wrong, *evenly(others, CLIPS_SHOWN - len(wrong))]
    ]
