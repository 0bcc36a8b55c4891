"""What every search space offers: architectures as immutable values, the algebra over them, and all facts about them.

Nothing here knows of torch: spaces are integers, strings and graphs, so that tables and searches open in milliseconds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from nas_lightning.plan import Mapping as PlanMapping
from nas_lightning.plan import Plan, PlanError
from nas_lightning.spaces.encoding import Columns, Encoding, KeyEncoding
from nas_lightning.spaces.errors import ArchitectureError as ArchitectureError
from nas_lightning.spaces.relaxation import Relaxation

A = TypeVar("A", bound=Hashable)

CAPABILITIES: Mapping[str, tuple[str, Any, str]] = {
    "layers": ("layers", None, "its depth is fixed"),
    "interior_widths": ("dynamic_channel", "fixed", "its widths do not depend on the cell"),
    "summed_inputs": ("wsbn", "off", "its inputs are not summed before the operation"),
    "kernel_sizes": ("ofa_kernel", "off", "none of its operations differ in the kernel size alone"),
    "operation_owners": ("op_placement", "edge", "its operations have one owner by construction"),
    "split_operations": ("few_shot_edge", None, "no gene of its encoding is the operation of one edge"),
    "path_dropout": ("path_dropout", 0.0, "its network has no cells whose output could be dropped"),
    "relaxed_paths": ("partial_channels", 1, "its network does not sum the operations of an edge"),
    "word_dropout": ("word_dropout", 0.0, "its network embeds no words"),
    "input_dropout": ("input_dropout", 0.0, "its network reads no sequence of embedded words"),
    "cell_dropout": ("cell_dropout", 0.0, "its network has no recurrent cell"),
    "hidden_dropout": ("hidden_dropout", 0.0, "its network has no hidden state"),
    "output_dropout": ("output_dropout", 0.0, "its network gives no sequence of outputs"),
}
"""What a space can take part in: capability -> the field of the mapping that needs it, its value where the space
lacks it (None for layers: the published depth), and why. Capabilities without a field: ``edges`` (the super-net's
parameters are named ``cells.<cell>.places.<source>-<target>``, so that edges can be tied). ``relaxed_paths``: the space
has a `relaxation`, and its network takes a `nas_lightning.nets.relaxed.RelaxedPath` in place of an architecture;
``hidden_states``: its network keeps the sequence of its hidden states, which ``protocol.slowness`` looks at."""

LACKS: Mapping[str, tuple[Mapping[str, tuple[Any, ...]], str]] = {
    "batch_norm": (
        {
            "mapping.bn_affine": (True,),
            "mapping.bn_affine_outside": (None,),
            "protocol.track_running_stats": (False,),
            "protocol.bn_evaluation": ("batch",),
            "protocol.bn_recalibration_batches": (4,),
        },
        "nothing in its network normalises",
    ),
    "kernels": ({"protocol.initialization": ("kaiming_normal",)}, "its network has no convolution kernels"),
    "sizes": (
        {
            "protocol.sampling": ("random_a", "random_nas", "fairnas"),
            "protocol.complexity_aware": (0.0,),
            "protocol.tournament": (1,),
        },
        "all its architectures have equally many parameters",
    ),
}
"""What nearly every space has and one may lack (`Space.lacks`): the fields of the plan that then have no meaning, with
the values that they may keep, and why. A field with one value left is not read at all."""


@dataclass(frozen=True)
class CellWork:
    """What one cell of a super-net costs beside its arithmetic, for estimates of time (`nas_lightning.sweep`)."""

    operations: float
    """Operations launched, mean over sampled architectures."""
    maps: float
    """Feature maps of the cell's width written, likewise."""
    stages: int = 1
    """Over how many stages the plan's `layers` are spread: 1 where they are counted per stage."""
    correction: float = 1.0
    """Measured time over the estimate on a CPU core, where the operations reach less of its rates."""


class Space(ABC, Generic[A]):
    """A search space: the set of its architectures, and what can be done with them.

    An architecture is an immutable, hashable, picklable value; ``str(arch)`` is the field's own string form and
    ``space.parse`` reads it back. Two architectures are *isomorphic* when they compute the same function up to a
    renaming of vertices (and, where the benchmark's definition says so, after removal of parts that cannot matter).

    A *genome* is the raw categorical encoding: one integer per gene, gene ``i`` in ``range(cardinalities[i])``.

    A space of one's own derives from `CategoricalSpace` (`nas_lightning.spaces.categorical`) where every genome is an
    architecture, which leaves little to write, and is found by its dotted path (`get_space`).
    """

    name: ClassVar[str]
    operations: ClassVar[tuple[str, ...]]
    cardinalities: ClassVar[tuple[int, ...]]
    size: ClassVar[int]  # number of raw encodings that `sample` draws from
    unique_size: ClassVar[int | None]  # number of isomorphism classes; None where nobody has counted them
    architecture_type: ClassVar[type]
    """Class of the architectures."""
    published: ClassVar[Mapping[str, int]]
    """``channels`` (initial width) and ``layers`` of the benchmark's own networks."""
    smallest_depth: ClassVar[int] = 1
    """Fewest `layers` of which the network is still one of the space's."""
    top_k: ClassVar[int] = 10
    """How many of the best-scored architectures a ranking looks at, where nobody says otherwise."""
    cell_work: ClassVar[CellWork] = CellWork(operations=6.0, maps=6.0, stages=3)
    """For estimates before anything has run; as it stands, two convolutions with norm and ReLU a layer."""
    table_neighbourhood: ClassVar[str | None] = None
    """``module:function`` that makes the neighbour graph of a whole table faster than `neighbours` one by one."""
    capabilities: ClassVar[frozenset[str]] = frozenset()
    """What heuristics may ask for, see `CAPABILITIES`."""
    lacks: ClassVar[frozenset[str]] = frozenset()
    """What it has not, see `LACKS`."""
    inputs: ClassVar[str] = "images"
    """What its networks read: a task whose `inputs` are others is refused."""
    relaxation: ClassVar[Relaxation | None] = None
    """Edges and operations that a learned distribution weighs; with it the space is capable of ``relaxed_paths``."""
    network: ClassVar[str | None] = None
    """``module:Class`` of the `nas_lightning.nets.base.Network`, imported when first asked for; None: tables only."""
    no_supernet: ClassVar[str | None] = None
    """Of a space whose networks share no weights: why not."""

    @abstractmethod
    def parse(self, text: Any) -> A:
        """Read the field's string form, and what else is common: other tools' spellings, their lists and dictionaries,
        as text or as Python values alike. Whole numbers only.

        Args:
            text: a string, or the values that other tools use.

        Returns:
            An architecture, canonical or not.

        Raises:
            ArchitectureError: it names what is wrong.
        """

    def is_key(self, text: str) -> bool:
        """Whether this is an identity (`key`) rather than an encoding, which a table at hand can look up.

        Args:
            text: what a table or list names an architecture by.

        Returns:
            Whether only a table can read it.
        """
        return False

    def format(self, arch: A) -> str:
        """The field's string form, equal to ``str(arch)``.

        Args:
            arch: an architecture.

        Returns:
            A string that `parse` reads.
        """
        return str(arch)

    @abstractmethod
    def canonical(self, arch: A) -> A:
        """The one representative of the isomorphism class of `arch`.

        Args:
            arch: an architecture.

        Returns:
            Equal for isomorphic architectures.
        """

    @abstractmethod
    def key(self, arch: A) -> str:
        """Identity of the isomorphism class: equal for two architectures exactly when they are isomorphic.

        Args:
            arch: an architecture.

        Returns:
            A string without line breaks.
        """

    @abstractmethod
    def members(self, arch: A) -> list[A]:
        """All encodings isomorphic to `arch` that are as small as its canonical form, in a fixed order.

        Args:
            arch: an architecture.

        Returns:
            At least one architecture.
        """

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> A:
        """Uniform over raw encodings.

        Args:
            rng: the generator of all draws.

        Returns:
            An architecture; one of a large class is more likely.
        """

    @abstractmethod
    def sample_unique(self, rng: np.random.Generator) -> A:
        """Uniform over isomorphism classes; returns the canonical representative.

        Args:
            rng: the generator of all draws.

        Returns:
            A canonical architecture; all classes are equally likely.
        """

    @abstractmethod
    def neighbours(self, arch: A) -> list[A]:
        """All distinct valid architectures one elementary change away, in a fixed order, without `arch` itself.

        Args:
            arch: an architecture.

        Returns:
            Raw or canonical ones, as the space says.
        """

    @abstractmethod
    def mutate(self, arch: A, rng: np.random.Generator) -> A:
        """One random elementary change, uniform over changes; never returns `arch` itself.

        Args:
            arch: an architecture.
            rng: the generator of all draws.

        Returns:
            A neighbour.
        """

    @abstractmethod
    def encode(self, arch: A) -> np.ndarray:
        """Genome of `arch`, int64 [len(cardinalities)].

        Args:
            arch: an architecture.

        Returns:
            One gene a choice, gene i in range(cardinalities[i]).
        """

    @abstractmethod
    def decode(self, genome: Sequence[int] | np.ndarray) -> A:
        """Inverse of `encode`.

        Args:
            genome: whole numbers [len(cardinalities)].

        Returns:
            The architecture.

        Raises:
            ArchitectureError: the genome is no valid architecture.
        """

    def one_hot(self, arch: A) -> np.ndarray:
        """Concatenated one-hot genes, float32 [sum(cardinalities)].

        Args:
            arch: an architecture.

        Returns:
            Zeros, and a one a gene.
        """
        genome = self.encode(arch)
        out = np.zeros(sum(self.cardinalities), np.float32)
        offsets = np.concatenate([[0], np.cumsum(self.cardinalities)[:-1]])
        out[offsets + genome] = 1.0
        return out

    @abstractmethod
    def operation_counts(self, arch: A) -> np.ndarray:
        """How often each of `operations` occurs, int64 [len(operations)] (DARTS: normal, then reduction cell).

        Args:
            arch: an architecture.

        Returns:
            Whole numbers.
        """

    @abstractmethod
    def depth(self, arch: A) -> int:
        """Number of parametrised operations on the longest input-output path of a cell (DARTS: normal cell).

        Args:
            arch: an architecture.

        Returns:
            0 or more.
        """

    zero_operation: ClassVar[str | None] = None
    """The operation that passes nothing on, where the space has one: a path through it does not exist."""
    identity_operation: ClassVar[str | None] = None
    """The operation that passes its input on, where the space has one: a path without it computes the same."""

    def paths(self, arch: A) -> list[tuple[str, ...]]:
        """The operations along every path from an input of a cell to its output, a path as often as it occurs.

        Zero and identity operations are named like all others; a first word may say which cell and input it starts at.

        Args:
            arch: an architecture.

        Returns:
            Names of operations, input first.

        Raises:
            NotImplementedError: the space does not say.
        """
        raise NotImplementedError(f"{self.name} names no paths of its cells; choose another encoding than paths")

    def operation_graph(self, arch: A) -> tuple[np.ndarray, np.ndarray]:
        """The cell as a graph with operations on its vertices, input first, output last.

        Args:
            arch: an architecture.

        Returns:
            Adjacency, uint8 [v, v] (source, target), v the same for all cells of the space, and the operation of every
            interior vertex, int64 [v - 2], -1 for a vertex that is not there.

        Raises:
            NotImplementedError: the space does not say.
        """
        raise NotImplementedError(f"{self.name} has no graph with operations on vertices; choose another encoding")

    # -- architectures that grow step by step, for progressive searches

    def smallest(self) -> list[A]:
        """The architectures that every other one grows from, each once, in a fixed order.

        By default the one whose genes are all at their first choice: NAS-Bench-201's cell without an edge.

        Returns:
            At least one architecture.
        """
        return [self.decode(np.zeros(len(self.cardinalities), np.int64))]

    def grown(self, arch: A) -> list[A]:
        """All architectures one step larger than `arch`, each once, in a fixed order; empty where it is complete.

        By default one more gene leaves its first choice: in NAS-Bench-201 an edge gets an operation.

        Args:
            arch: an architecture.

        Returns:
            Architectures of the space.
        """
        genome = self.encode(arch)
        changes = [(i, new) for i in np.flatnonzero(genome == 0).tolist() for new in range(1, self.cardinalities[i])]
        return self._with_genes(genome, changes, arch)

    def smaller(self, arch: A) -> list[A]:
        """All architectures that `arch` is one step larger than: the inverse of `grown`, in a fixed order.

        Args:
            arch: an architecture.

        Returns:
            Architectures of the space; empty for the smallest.
        """
        genome = self.encode(arch)
        return self._with_genes(genome, [(i, 0) for i in np.flatnonzero(genome).tolist()], arch)

    def grown_forms(self, arch: A) -> list[A]:
        """The members of the class of `arch` that growing leads to, where `arch` itself need not be one.

        Args:
            arch: an architecture.

        Returns:
            Isomorphic architectures.
        """
        return [arch]

    def _with_genes(self, genome: np.ndarray, changes: Sequence[tuple[int, int]], arch: A) -> list[A]:
        """The valid architectures after each change of one gene, without `arch`."""
        found: dict[A, None] = {}
        for gene, value in changes:
            changed = genome.copy()
            changed[gene] = value
            try:
                found[self.decode(changed)] = None
            except ArchitectureError:
                continue
        found.pop(arch, None)
        return list(found)

    def enumerate(self) -> Iterator[A]:
        """All canonical representatives in the benchmark's own order.

        Returns:
            One architecture of every class.

        Raises:
            NotImplementedError: there are too many.
        """
        raise NotImplementedError(f"{self.name} is too large to enumerate; draw from it with sample or sample_unique")

    def permuted(self, arch: A, rng: np.random.Generator) -> tuple[A, ...]:
        """FairNAS: in every slot of the topology of `arch` each operation once, over as many architectures.

        Args:
            arch: an architecture.
            rng: the generator of all draws.

        Returns:
            As many architectures as there are operations.

        Raises:
            PlanError: the space does not say.
        """
        raise PlanError(
            f"sampling=fairnas does not apply to space={self.name}, which says no permutations of its operations; "
            "choose random_nas"
        )

    # -- what the space's network has

    def reads_tables_of(self, name: str) -> bool:
        """Whether tables of the space `name` hold this one's architectures: its own tables, and those of a space that
        it derives from without other architectures.

        Args:
            name: of a space.

        Returns:
            True for its own name.
        """
        kinds = (kind for kind in type(self).__mro__ if getattr(kind, "name", None) == name)
        return any(getattr(kind, "architecture_type", None) is self.architecture_type for kind in kinds)

    def network_class(self) -> Any:
        """The class that `network` names.

        Returns:
            A subclass of `nas_lightning.nets.base.Network`.

        Raises:
            PlanError: the space has none, or it cannot be imported.
        """
        if self.network is None:
            raise PlanError(f"{self.name} has tables but no network, so that nothing can be trained on it")
        module, _, leaf = self.network.partition(":")
        try:
            return getattr(import_module(module), leaf)
        except (ImportError, AttributeError, ValueError) as error:
            raise PlanError(f"the network {self.network} of {self.name} cannot be imported: {error}") from error

    def check_supernet(self) -> None:
        """Refuse a super-net of a space that has none.

        Raises:
            PlanError: its networks share no weights.
        """
        if self.no_supernet is not None:
            raise PlanError(
                f"space={self.name} has no super-net: {self.no_supernet}; train single networks (mode=standalone, "
                "mode=table), or search a table"
            )

    def admits(self, arch: A, mapping: PlanMapping) -> bool:
        """Whether the super-net of `mapping` holds `arch`.

        Args:
            arch: an architecture.
            mapping: f_ws of a super-net.

        Returns:
            False where a restriction of the mapping excludes it.
        """
        return True

    def check_mapping(self, mapping: PlanMapping) -> None:
        """Refuse a mapping that the space's network does not have, by `CAPABILITIES`.

        Args:
            mapping: f_ws of a super-net.

        Raises:
            PlanError: it names the field and the value to leave it at.
        """
        for capability, (field, neutral, why) in CAPABILITIES.items():
            if capability in self.capabilities:
                continue
            neutral = self.published["layers"] if field == "layers" else neutral
            value = getattr(mapping, field)
            if value != neutral:
                raise PlanError(
                    f"mapping.{field}={value} does not apply to {self.name}: {why}; leave it at "
                    f"{'null' if neutral is None else neutral}"
                )
        if mapping.few_shot_edge is not None and mapping.few_shot_edge >= len(self.cardinalities):
            raise PlanError(
                f"mapping.few_shot_edge={mapping.few_shot_edge} is out of range; {self.name} has edges 0 to "
                f"{len(self.cardinalities) - 1}"
            )

    def refusal(self, edits: Mapping[str, Any]) -> str | None:
        """Why fields of the plan, set to these values, have no meaning for want of something that the space `lacks`;
        None where they have.

        Args:
            edits: values by the names of fields, ``mapping.wsbn``.

        Returns:
            The reason, as a part of a sentence, or None.
        """
        for lacking in sorted(self.lacks):
            fields, why = LACKS[lacking]
            for name, value in edits.items():
                if name in fields and value not in fields[name]:
                    return why
            if edits and all(len(fields.get(name, ())) == 1 for name in edits):
                return why
        return None

    def check_plan(self, plan: Plan) -> None:
        """Refuse a plan that the space's network cannot follow.

        Args:
            plan: mapping and protocol.

        Raises:
            PlanError: it names the field and the value to leave it at.
        """
        self.check_mapping(plan.mapping)
        for lacking in sorted(self.lacks):
            fields, why = LACKS[lacking]
            for name, allowed in fields.items():
                if (value := plan.flat()[name]) not in allowed:
                    left = "null" if allowed[-1] is None else " or ".join(str(a).lower() for a in allowed)
                    raise PlanError(f"{name}={value} does not apply to {self.name}: {why}; leave it at {left}")
        if plan.protocol.slowness and "hidden_states" not in self.capabilities:
            raise PlanError(
                f"protocol.slowness={plan.protocol.slowness:g} does not apply to {self.name}: its network has no "
                "hidden states that follow one another; leave it at 0"
            )

    def costs(
        self,
        archs: Sequence[A],
        *,
        channels: int | None = None,
        layers: int | None = None,
        num_classes: int = 10,
        in_channels: int = 3,
        affine: bool = True,
        image_size: int = 32,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Parameters and multiply-accumulates of stand-alone networks, without auxiliary heads.

        Args:
            archs: n architectures of this space.
            channels: initial width; by default the published one.
            layers: cells a stage (DARTS: in all); by default as published.
            num_classes: outputs of the classifier.
            in_channels: channels of the images.
            affine: whether batch-norm layers have a scale and a shift.
            image_size: side of the square images, in pixels.

        Returns:
            (parameters, multiply-accumulates of one image), int64 [n] each.

        Raises:
            TypeError: one of them belongs to another space.
        """
        shape = {
            "channels": self.published["channels"] if channels is None else channels,
            "layers": self.published["layers"] if layers is None else layers,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "affine": affine,
            "image_size": image_size,
        }
        archs = list(archs)
        wrong = next((arch for arch in archs if type(arch) is not self.architecture_type), None)
        if wrong is not None:
            raise TypeError(f"{wrong} is no architecture of {self.name}; ask its own space for its costs")
        if not archs:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return self._costs(archs, **shape)

    def _costs(self, archs: list[A], **shape: Any) -> tuple[np.ndarray, np.ndarray]:
        """As `costs`, everything given: here counted from the built network, some milliseconds an architecture.

        A space whose costs follow from a formula counts them without torch (`nas_lightning.spaces.counting`).
        """
        counted: tuple[np.ndarray, np.ndarray] = self.network_class().counted(archs, **shape)
        return counted

    def parameters(self, arch: A, **shape: Any) -> int:
        """Trainable parameters of one architecture's network; keywords as for `costs`.

        Args:
            arch: an architecture.
            shape: ``channels``, ``layers``, ``num_classes``, ``in_channels``, ``affine``, ``image_size``.

        Returns:
            A whole number.
        """
        return int(self.costs([arch], **shape)[0][0])

    def macs(self, arch: A, **shape: Any) -> int:
        """Multiply-accumulates of one forward pass of one image; keywords as for `costs`.

        Args:
            arch: an architecture.
            shape: ``channels``, ``layers``, ``num_classes``, ``in_channels``, ``affine``, ``image_size``.

        Returns:
            A whole number.
        """
        return int(self.costs([arch], **shape)[1][0])

    # -- how a table stores the architectures

    def table_columns(self, archs: Sequence[A]) -> dict[str, Any]:
        """The columns of a table that hold n architectures: arrays or lists of length n.

        Args:
            archs: n architectures.

        Returns:
            Values of n rows by the column's name.
        """
        return {"architecture": [str(arch) for arch in archs], "key": [self.key(arch) for arch in archs]}

    def open_encoding(self, columns: Columns) -> Encoding:
        """How rows and architectures of a table with these columns are matched.

        Args:
            columns: of an opened table.

        Returns:
            Look-up in both directions.
        """
        return KeyEncoding(self, columns)

    # -- what a report says about them

    def structure_groups(self, arch: A) -> dict[str, str]:
        """Property -> group of `arch`, beyond operations and depth, for the figure of mis-ranked architectures.

        Args:
            arch: an architecture.

        Returns:
            Names by property; empty where the space has none.
        """
        return {}

    def operation_columns(self) -> list[str]:
        """A name per entry of `operation_counts`.

        Returns:
            Names of as many columns.
        """
        return list(self.operations)
