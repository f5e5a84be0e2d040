"""gpu-server: models that servers load, by readers that had no part in making them, and what travels beside them."""

from __future__ import annotations

import concurrent.futures
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from server_tools import serving_messages, triton_messages

from dlkit.bundle.loading import Bundle, load_bundle
from dlkit.conversion.serving import RAW
from dlkit.devices import tensorflow_server
from dlkit.devices.checking import check_bundle
from dlkit.devices.examining import examined
from dlkit.devices.second_reader import second_answers
from dlkit.devices.tensorflow_server import answers
from dlkit.errors import ModelFileError
from dlkit.finishing.tf_serving import WARMUP
from dlkit.pipeline import export_schemes
from dlkit.progress import ignore
from dlkit.report import Report
from dlkit.runtime.arrays import write_npz
from dlkit.runtime.saved_model import SIGNATURE, checked_graph
from dlkit.runtime.served import SavedModelSession, open_model
from dlkit.targets import TARGETS
from dlkit.verdict import Verdict

pytestmark = pytest.mark.tf

SCHEMES = [name for name in TARGETS["gpu-server"].schemes if name != "saved_model_float16"]
"""That one differs from bfloat16 by its dtype alone, which test_serving.py holds."""


@pytest.fixture(scope="module")
def bundles(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Bundle, Report]]:
    """The short recipe's model in every scheme of the target, by one export."""
    from dlkit.trained import load_trained

    out = tmp_path_factory.mktemp("gpu-server")
    results = export_schemes(load_trained(models / "short"), SCHEMES, "gpu-server", out=out)
    assert all(isinstance(result, tuple) for result in results), results
    return dict(zip(SCHEMES, results, strict=True))


@pytest.fixture(scope="module")
def saved(bundles: dict[str, tuple[Bundle, Report]]) -> Bundle:
    return bundles["saved_model"][0]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_bundle_checks_itself_in_a_process_of_its_own(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """Its samples get the answers that travel with it."""
    count, gap, allowed = check_bundle(load_bundle(bundles[scheme][0].folder))
    assert count == 10
    assert gap <= allowed


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_proof_is_in_the_report(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """Run there on samples; every operation has a place; the batch is open."""
    proof = bundles[scheme][1].device
    assert proof is not None
    assert (proof.samples, proof.largest_gap <= 1e-5) == (16, True)
    assert all(placement.place for placement in proof.verdict.placements)
    assert "image (?, 8, 8, 1) float32 → output (?, 10) float32" in proof.verdict.how


@pytest.mark.parametrize(
    ("scheme", "limit"),
    [("saved_model", 1e-5), ("onnx", 1e-5), ("saved_model_bfloat16", 0.1)],
)
def test_openvino_reads_the_same_network(
    bundles: dict[str, tuple[Bundle, Report]], scheme: str, limit: float, tmp_path: Path
) -> None:
    """A reader that shares no code with the writer answers the same to held-out samples."""
    pytest.importorskip("openvino", reason="NO SECOND READER: pip install 'dlkit[openvino]'")
    bundle, report = bundles[scheme]
    raw = np.load(bundle.folder / "samples.npz")
    write_npz(tmp_path / "inputs.npz", bundle.prepared({"image": raw["raw image"]}))
    found = second_answers(bundle.model, tmp_path / "inputs.npz")["output"]
    assert np.ptp(found) > 0.5
    assert np.abs(found - raw["output output"]).max() <= limit
    assert report.device is not None
    assert [figure.value <= limit for figure in report.device.verdict.figures] == [True]


ONES = np.ones((1, 2), np.float32)


@pytest.mark.parametrize("computes_in", tensorflow_server.APART)
@pytest.mark.parametrize("odd", [np.full((1, 2), np.nan, np.float32), np.full((1, 2), np.inf, np.float32), ONES[:, :1]])
def test_a_second_reader_that_gives_no_number_is_told(
    odd: np.ndarray, computes_in: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where it is an output after one that agrees, and where a gap is only told."""
    monkeypatch.setattr(tensorflow_server, "is_installed", lambda: True)
    monkeypatch.setattr(tensorflow_server, "second_answers", lambda *args: {"a": ONES, "b": odd})
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1")
    _, [block], _ = tensorflow_server._second(tmp_path, tmp_path, {"a": ONES, "b": ONES}, computes_in)
    assert "are of another shape, or hold NaN or infinity" in block


@pytest.mark.slow
def test_the_c_library_reads_the_same_network(saved: Bundle, tmp_path: Path) -> None:
    """A C program, linked to TensorFlow's library alone, answers as the bundle says; to a batch of its own size."""
    import tensorflow as tf

    if shutil.which("gcc") is None:
        pytest.skip("NO C COMPILER: run .ci/devices.d/server")
    libraries, program = Path(tf.sysconfig.get_lib()), tmp_path / "saved_model"
    links = [str(libraries / name) for name in ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")]
    source = Path(__file__).with_name("saved_model.c")
    subprocess.run(
        ["gcc", "-Wall", "-Werror", str(source), f"-I{tf.sysconfig.get_include()}", *links, f"-Wl,-rpath,{libraries}",
         "-o", str(program)], check=True, timeout=120,
    )  # fmt: skip
    told = checked_graph(saved.model).signature_def[SIGNATURE]
    ends = [told.inputs["image"].name, told.outputs["output"].name]
    (entrance, _), (exit_, number) = (name.split(":") for name in ends)
    samples = np.load(saved.folder / "samples.npz")
    inputs = saved.prepared({"image": samples["raw image"]})["image"]
    words = [str(program), str(saved.model), entrance, exit_, number, *map(str, inputs.shape)]
    said = subprocess.run(words, input=inputs.tobytes(), capture_output=True, timeout=300, check=False)
    assert said.returncode == 0, said.stderr[-500:]
    found = np.frombuffer(said.stdout, np.float32).reshape(len(inputs), -1)
    assert np.abs(found - samples["output output"]).max() <= 1e-5


def save(folder: Path, function: Callable[[Any], Any], batch: int | None = None) -> Path:
    """A SavedModel of one function of (batch, 4) float32."""
    import tensorflow as tf

    module = tf.Module()
    spec = tf.TensorSpec([batch, 4], tf.float32, name="x")
    module.serve = tf.function(lambda x: {"y": function(x)}, autograph=False)
    tf.saved_model.save(module, str(folder), signatures={SIGNATURE: module.serve.get_concrete_function(x=spec)})
    return folder


def verdict_on(folder: Path) -> Verdict:
    return examined(folder, "gpu-server")


def test_a_fixed_batch_is_blocked(tmp_path: Path) -> None:
    """A server puts requests together, which a fixed number of samples does not allow."""
    verdict = verdict_on(save(tmp_path / "m", lambda x: x * 2, batch=1))
    assert [block.partition(",")[0] for block in verdict.blocks] == [
        "'x' has a fixed batch of 1", "'y' has a fixed batch of 1",
    ]  # fmt: skip


@pytest.mark.slow
def test_samples_that_mix_are_blocked(tmp_path: Path) -> None:
    """An answer that depends on the other samples of its batch would depend on strangers' requests."""
    import tensorflow as tf

    verdict = verdict_on(save(tmp_path / "m", lambda x: x - tf.reduce_mean(x, axis=0)))
    assert len(verdict.blocks) == 1
    assert "'y' of a sample depends on the others of its batch" in verdict.blocks[0]


@pytest.mark.slow
def test_what_xla_compiles_is_told(tmp_path: Path) -> None:
    """A function with jit_compile is compiled for each number of samples, which a user should know."""
    import tensorflow as tf

    inner = tf.function(lambda x: tf.nn.relu(x), jit_compile=True, autograph=False)
    verdict = verdict_on(save(tmp_path / "m", inner))
    assert verdict.fits
    assert any("compiled by XLA" in note for note in verdict.notes)


@pytest.mark.slow
def test_what_runs_on_the_processor_alone_is_told(tmp_path: Path) -> None:
    """By the kernels that TensorFlow has: strings have none for a GPU."""
    import tensorflow as tf

    def with_strings(x: Any) -> Any:
        return tf.strings.to_number(tf.strings.as_string(x))

    places = {
        placement.operation: placement.place for placement in verdict_on(save(tmp_path / "m", with_strings)).placements
    }
    assert places["AsString"] == places["StringToNumber"] == "CPU"


def test_neither_folder_nor_file(tmp_path: Path) -> None:
    """Something else is refused in one line."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"none")
    with pytest.raises(ModelFileError, match=r"neither the folder of a SavedModel nor an \.onnx file"):
        verdict_on(path)


def test_a_broken_onnx_file(tmp_path: Path) -> None:
    """It is refused by the file's name."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"none")
    with pytest.raises(ModelFileError, match="is not an ONNX model"):
        verdict_on(path)


@pytest.mark.slow
def test_several_ends_keep_their_names(tmp_path: Path) -> None:
    """Answers from the process of its own come by the names of the signature."""
    import tensorflow as tf

    module = tf.Module()
    spec = {name: tf.TensorSpec([None, 2], tf.float32, name=name) for name in ("a", "b")}
    module.serve = tf.function(lambda a, b: {"sum": a + b, "product": a * b}, autograph=False)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={SIGNATURE: module.serve.get_concrete_function(**spec)})
    given = {"a": np.full((3, 2), 2, np.float32), "b": np.full((3, 2), 5, np.float32)}
    found = answers(tmp_path / "m", given, TARGETS["gpu-server"], ignore)
    assert {name: float(values[2, 1]) for name, values in found.items()} == {"sum": 7.0, "product": 10.0}


def test_warm_up_requests_are_those_of_tensorflow_serving(saved: Bundle) -> None:
    """Its own messages read the file: both signatures, in every size of batch, with real samples."""
    import tensorflow as tf

    log = serving_messages("apis.prediction_log_pb2").PredictionLog
    records = [log.FromString(each.numpy()) for each in tf.data.TFRecordDataset(str(saved.folder / WARMUP))]
    requests = [record.predict_log.request for record in records]
    assert {request.model_spec.name for request in requests} == {"short"}
    told = [(r.model_spec.signature_name, tuple(tf.make_ndarray(r.inputs["image"]).shape)) for r in requests]
    assert told == [(name, (size, 8, 8, 1)) for size in (1, 2, 4, 8, 16, 32) for name in (SIGNATURE, RAW)]
    samples = np.load(saved.folder / "samples.npz")
    for request in requests:
        inputs = {"image": tf.make_ndarray(request.inputs["image"])}
        found = SavedModelSession(saved.model, signature=request.model_spec.signature_name).run_named(inputs)["output"]
        count = min(len(found), len(samples["output output"]))
        assert np.abs(found[:count] - samples["output output"][:count]).max() <= 1e-5


def test_the_settings_are_those_of_tensorflow_serving(saved: Bundle) -> None:
    """models.config is a ModelServerConfig that names the folder of the README's commands."""
    from google.protobuf import text_format

    config = serving_messages("config.model_server_config_pb2").ModelServerConfig()
    text_format.Parse((saved.folder / "tf_serving" / "models.config").read_text(), config)
    [model] = config.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("short", "/models/short", "tensorflow")
    assert "saved_model:/models/short/1:ro" in (saved.folder / "tf_serving" / "README.md").read_text()


def batching_parameters() -> Any:
    """The message of tensorflow_serving/servables/tensorflow/session_bundle_config.proto that the file is.

    The client's package leaves it out, so its fields are written down here.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="serving", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    for number, name in enumerate(
        ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"), 1
    ):
        message.field.add(name=name, number=number, type=11, label=1, type_name=".google.protobuf.Int64Value")
    message.field.add(name="allowed_batch_sizes", number=6, type=3, label=3)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("serving.BatchingParameters"))()


def test_batches_are_filled_up_to_sizes_that_were_warmed_up(saved: Bundle) -> None:
    """The largest allowed size is the largest batch, which TensorFlow Serving insists on."""
    from google.protobuf import text_format

    found = text_format.Parse(
        (saved.folder / "tf_serving" / "batching_parameters.txt").read_text(), batching_parameters()
    )
    assert list(found.allowed_batch_sizes) == [1, 2, 4, 8, 16, 32]
    assert found.max_batch_size.value == found.allowed_batch_sizes[-1]
    assert found.batch_timeout_micros.value == 1000


def test_the_request_by_rest_is_answered_as_told(saved: Bundle) -> None:
    """request.json, given to the signature it names, is answered by what is in response.json."""
    sent = json.loads((saved.folder / "tf_serving" / "request.json").read_text())
    inputs = {name: np.asarray(values, np.float32) for name, values in sent["inputs"].items()}
    found = SavedModelSession(saved.model, signature=sent["signature_name"]).run_named(inputs)["output"]
    told = json.loads((saved.folder / "tf_serving" / "response.json").read_text())["outputs"]
    assert np.abs(found - np.asarray(told)).max() <= 1e-6


@pytest.mark.slow
def test_the_client_talks_grpc(saved: Bundle) -> None:
    """client.py, as it lies in the bundle, asks a server of TensorFlow Serving's protocol and prints its answer."""
    import tensorflow as tf

    serving_messages("apis.predict_pb2")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    grpc = pytest.importorskip("grpc")

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
            assert request.model_spec.name == "short"
            session = SavedModelSession(saved.model, signature=request.model_spec.signature_name)
            found = session.run_named({name: tf.make_ndarray(x) for name, x in request.inputs.items()})
            return predict_pb2.PredictResponse(outputs={k: tf.make_tensor_proto(v) for k, v in found.items()})

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        client = saved.folder / "tf_serving" / "client.py"
        said = subprocess.run(
            [sys.executable, str(client), f"127.0.0.1:{port}"], capture_output=True, text=True, timeout=120, check=False
        )
        server.stop(None).wait()
    assert said.returncode == 0, said.stderr[-500:]
    wanted = json.loads((saved.folder / "tf_serving" / "response.json").read_text())["outputs"]
    assert np.abs(np.asarray(json.loads(said.stdout)["output"]) - np.asarray(wanted)).max() <= 1e-6


@pytest.mark.parametrize(
    ("scheme", "platform"), [("saved_model", "tensorflow_savedmodel"), ("onnx", "onnxruntime_onnx")]
)
def test_the_settings_are_those_of_triton(
    bundles: dict[str, tuple[Bundle, Report]], scheme: str, platform: str
) -> None:
    """Its own message reads config.pbtxt; names, shapes and dtypes are the model's, and the warm-up data is there."""
    from google.protobuf import text_format

    bundle = bundles[scheme][0]
    config = triton_messages().ModelConfig()
    text_format.Parse((bundle.folder / "triton" / "short" / "config.pbtxt").read_text(), config)
    assert (config.name, config.platform, config.max_batch_size) == ("short", platform, 32)
    [entrance], [exit_] = config.input, config.output
    session = open_model(bundle.model)
    assert (entrance.name, tuple(entrance.dims)) == ("image", session.input.shape[1:])
    assert (exit_.name, tuple(exit_.dims)) == ("output", session.output.shape[1:])
    assert triton_messages().DataType.Name(entrance.data_type) == "TYPE_FP32"
    assert config.HasField("dynamic_batching")
    for warmup in config.model_warmup:
        given = warmup.inputs["image"]
        data = (bundle.folder / "triton" / "short" / "warmup" / given.input_data_file).read_bytes()
        assert len(data) == 4 * np.prod(given.dims)
    assert [warmup.batch_size for warmup in config.model_warmup] == [1, 32]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_request_to_triton_is_answered_as_told(bundles: dict[str, tuple[Bundle, Report]], scheme: str) -> None:
    """request.json, as the network takes it, is answered by what is in response.json."""
    bundle = bundles[scheme][0]
    [sent] = json.loads((bundle.folder / "triton" / "request.json").read_text())["inputs"]
    [told] = json.loads((bundle.folder / "triton" / "response.json").read_text())["outputs"]
    values = np.asarray(sent["data"], np.float32).reshape(sent["shape"])
    found = open_model(bundle.model).run_named({sent["name"]: values})[told["name"]]
    assert list(found.shape) == told["shape"]
    assert np.abs(found.ravel() - np.asarray(told["data"])).max() <= (
        1e-6 if scheme in ("saved_model", "onnx") else 1e-2
    )


def test_tensorflow_serving_is_told_to_serve_no_onnx(bundles: dict[str, tuple[Bundle, Report]]) -> None:
    """There is nothing for it beside an ONNX file, and a note says which scheme it serves."""
    bundle, report = bundles["onnx"]
    assert not (bundle.folder / "tf_serving").exists()
    assert any("--scheme saved_model" in note for note in report.notes)


def test_a_changed_warm_up_request_is_refused(saved: Bundle, tmp_path: Path) -> None:
    """It is part of the bundle, and vouched for."""
    folder = shutil.copytree(saved.folder, tmp_path / "bundle")
    path = folder / WARMUP
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelFileError, match="tf_serving_warmup_requests: is not the file that was exported"):
        load_bundle(folder)
