"""The part of Caffe's protobuf schema that describes networks and holds weights.

The facts (names, numbers, defaults) are those of Caffe's ``caffe.proto``. What only training
uses is here as well, so that a prototxt which mentions it can be read and the misspelt name of
a setting is still an error. One deviation: packed floating-point fields are declared as bytes.
Both are length-delimited on the wire, so protobuf hands the numbers over as a block of memory,
where a repeated float would become millions of Python objects.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_ENUMS = {
    "Phase": "TRAIN TEST",
    "Engine": "DEFAULT CAFFE CUDNN",
    "PoolMethod": "MAX AVE STOCHASTIC",
    "RoundMode": "CEIL FLOOR",
    "EltwiseOp": "PROD SUM MAX",
    "NormRegion": "ACROSS_CHANNELS WITHIN_CHANNEL",
    "VarianceNorm": "FAN_IN FAN_OUT AVERAGE",
    "DimCheckMode": "STRICT PERMISSIVE",
    "DB": "LEVELDB LMDB",
    "LossNormalization": "FULL VALID BATCH_SIZE NONE",
    "HingeNorm": "_ L1 L2",
    "V1LayerType": (
        "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA "
        "HDF5_OUTPUT IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS "
        "POOLING RELU SIGMOID SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER "
        "SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN "
        "ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"
    ),
}

# Message -> fields "number name type[=default]", "*" after a type that is repeated.
_MESSAGES = {
    "BlobShape": "1 dim int64*",
    "BlobProto": (
        "1 num int32, 2 channels int32, 3 height int32, 4 width int32, 5 data bytes*, "
        "7 shape BlobShape, 8 double_data bytes*"
    ),
    "NetParameter": (
        "1 name string, 2 layers V1LayerParameter*, 3 input string*, 4 input_dim int32*, "
        "5 force_backward bool, 6 state NetState, 7 debug_info bool, 8 input_shape BlobShape*, "
        "100 layer LayerParameter*"
    ),
    "NetState": "1 phase Phase=TEST, 2 level int32, 3 stage string*",
    "NetStateRule": (
        "1 phase Phase, 2 min_level int32, 3 max_level int32, 4 stage string*, 5 not_stage string*"
    ),
    "LayerParameter": (
        "1 name string, 2 type string, 3 bottom string*, 4 top string*, 5 loss_weight float*, "
        "6 param ParamSpec*, 7 blobs BlobProto*, 8 include NetStateRule*, 9 exclude NetStateRule*, "
        "10 phase Phase, 11 propagate_down bool*, 100 transform_param TransformationParameter, "
        "101 loss_param LossParameter, 102 accuracy_param AccuracyParameter, "
        "104 concat_param ConcatParameter, 106 convolution_param ConvolutionParameter, "
        "107 data_param DataParameter, 108 dropout_param DropoutParameter, "
        "109 dummy_data_param DummyDataParameter, 110 eltwise_param EltwiseParameter, "
        "112 hdf5_data_param HDF5DataParameter, 114 hinge_loss_param HingeLossParameter, "
        "115 image_data_param ImageDataParameter, 117 inner_product_param InnerProductParameter, "
        "118 lrn_param LRNParameter, 119 memory_data_param MemoryDataParameter, "
        "121 pooling_param PoolingParameter, 122 power_param PowerParameter, "
        "123 relu_param ReLUParameter, 124 sigmoid_param EngineParameter, "
        "125 softmax_param SoftmaxParameter, 126 slice_param SliceParameter, "
        "127 tanh_param EngineParameter, 129 window_data_param WindowDataParameter, "
        "131 prelu_param PReLUParameter, 133 reshape_param ReshapeParameter, "
        "135 flatten_param FlattenParameter, 139 batch_norm_param BatchNormParameter, "
        "140 elu_param ELUParameter, 142 scale_param ScaleParameter, 143 input_param InputParameter"
    ),
    "V1LayerParameter": (
        "2 bottom string*, 3 top string*, 4 name string, 5 type V1LayerType, 6 blobs BlobProto*, "
        "7 blobs_lr float*, 8 weight_decay float*, 9 concat_param ConcatParameter, "
        "10 convolution_param ConvolutionParameter, 11 data_param DataParameter, "
        "12 dropout_param DropoutParameter, 13 hdf5_data_param HDF5DataParameter, "
        "15 image_data_param ImageDataParameter, 17 inner_product_param InnerProductParameter, "
        "18 lrn_param LRNParameter, 19 pooling_param PoolingParameter, "
        "20 window_data_param WindowDataParameter, 21 power_param PowerParameter, "
        "22 memory_data_param MemoryDataParameter, 24 eltwise_param EltwiseParameter, "
        "26 dummy_data_param DummyDataParameter, 27 accuracy_param AccuracyParameter, "
        "29 hinge_loss_param HingeLossParameter, 30 relu_param ReLUParameter, "
        "31 slice_param SliceParameter, 32 include NetStateRule*, 33 exclude NetStateRule*, "
        "35 loss_weight float*, 36 transform_param TransformationParameter, "
        "37 tanh_param EngineParameter, 38 sigmoid_param EngineParameter, "
        "39 softmax_param SoftmaxParameter, 42 loss_param LossParameter, 1001 param string*, "
        "1002 blob_share_mode DimCheckMode*"
    ),
    # What a layer of the forward pass is set by.
    "ConvolutionParameter": (
        "1 num_output uint32, 2 bias_term bool=true, 3 pad uint32*, 4 kernel_size uint32*, "
        "5 group uint32=1, 6 stride uint32*, 7 weight_filler FillerParameter, "
        "8 bias_filler FillerParameter, 9 pad_h uint32, 10 pad_w uint32, 11 kernel_h uint32, "
        "12 kernel_w uint32, 13 stride_h uint32, 14 stride_w uint32, 15 engine Engine, "
        "16 axis int32=1, 17 force_nd_im2col bool, 18 dilation uint32*"
    ),
    "PoolingParameter": (
        "1 pool PoolMethod, 2 kernel_size uint32, 3 stride uint32=1, 4 pad uint32, "
        "5 kernel_h uint32, 6 kernel_w uint32, 7 stride_h uint32, 8 stride_w uint32, "
        "9 pad_h uint32, 10 pad_w uint32, 11 engine Engine, 12 global_pooling bool, "
        "13 round_mode RoundMode"
    ),
    "LRNParameter": (
        "1 local_size uint32=5, 2 alpha float=1, 3 beta float=0.75, 4 norm_region NormRegion, "
        "5 k float=1, 6 engine Engine"
    ),
    "ReLUParameter": "1 negative_slope float, 2 engine Engine",
    "PReLUParameter": "1 filler FillerParameter, 2 channel_shared bool",
    "ELUParameter": "1 alpha float=1",
    "PowerParameter": "1 power float=1, 2 scale float=1, 3 shift float",
    "EltwiseParameter": "1 operation EltwiseOp=SUM, 2 coeff float*, 3 stable_prod_grad bool",
    "ConcatParameter": "1 concat_dim uint32=1, 2 axis int32=1",
    "SliceParameter": "1 slice_dim uint32=1, 2 slice_point uint32*, 3 axis int32=1",
    "SoftmaxParameter": "1 engine Engine, 2 axis int32=1",
    "FlattenParameter": "1 axis int32=1, 2 end_axis int32=-1",
    "ReshapeParameter": "1 shape BlobShape, 2 axis int32, 3 num_axes int32=-1",
    "InnerProductParameter": (
        "1 num_output uint32, 2 bias_term bool=true, 3 weight_filler FillerParameter, "
        "4 bias_filler FillerParameter, 5 axis int32=1, 6 transpose bool"
    ),
    "BatchNormParameter": (
        "1 use_global_stats bool=true, 2 moving_average_fraction float, 3 eps float=1e-5"
    ),
    "ScaleParameter": (
        "1 axis int32=1, 2 num_axes int32=1, 3 filler FillerParameter, 4 bias_term bool, "
        "5 bias_filler FillerParameter"
    ),
    "InputParameter": "1 shape BlobShape*",
    "EngineParameter": "1 engine Engine",
    # What only training and its data layers use.
    "DropoutParameter": "1 dropout_ratio float",
    "ParamSpec": "1 name string, 2 share_mode DimCheckMode, 3 lr_mult float, 4 decay_mult float",
    "FillerParameter": (
        "1 type string, 2 value float, 3 min float, 4 max float, 5 mean float, 6 std float, "
        "7 sparse int32, 8 variance_norm VarianceNorm"
    ),
    "TransformationParameter": (
        "1 scale float, 2 mirror bool, 3 crop_size uint32, 4 mean_file string, "
        "5 mean_value float*, 6 force_color bool, 7 force_gray bool"
    ),
    "LossParameter": "1 ignore_label int32, 2 normalize bool, 3 normalization LossNormalization",
    "AccuracyParameter": "1 top_k uint32, 2 axis int32, 3 ignore_label int32",
    "HingeLossParameter": "1 norm HingeNorm",
    "DataParameter": (
        "1 source string, 2 scale float, 3 mean_file string, 4 batch_size uint32, "
        "5 crop_size uint32, 6 mirror bool, 7 rand_skip uint32, 8 backend DB, "
        "9 force_encoded_color bool, 10 prefetch uint32"
    ),
    "ImageDataParameter": (
        "1 source string, 2 scale float, 3 mean_file string, 4 batch_size uint32, "
        "5 crop_size uint32, 6 mirror bool, 7 rand_skip uint32, 8 shuffle bool, "
        "9 new_height uint32, 10 new_width uint32, 11 is_color bool, 12 root_folder string"
    ),
    "HDF5DataParameter": "1 source string, 2 batch_size uint32, 3 shuffle bool",
    "MemoryDataParameter": (
        "1 batch_size uint32, 2 channels uint32, 3 height uint32, 4 width uint32"
    ),
    "DummyDataParameter": (
        "1 data_filler FillerParameter*, 2 num uint32*, 3 channels uint32*, 4 height uint32*, "
        "5 width uint32*, 6 shape BlobShape*"
    ),
    "WindowDataParameter": (
        "1 source string, 2 scale float, 3 mean_file string, 4 batch_size uint32, "
        "5 crop_size uint32, 6 mirror bool, 7 fg_threshold float, 8 bg_threshold float, "
        "9 fg_fraction float, 10 context_pad uint32, 11 crop_mode string, 12 cache_images bool, "
        "13 root_folder string"
    ),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="styletransfer/caffe.proto", package="caffe", syntax="proto2"
    )
    for name, values in _ENUMS.items():
        # A message around each enum keeps the names of its values (DEFAULT, MAX) apart.
        enum = file.message_type.add(name=f"{name}Scope").enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in fields.split(", "):
            _add_field(message, *text.split())
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, number: str, name: str, kind: str) -> None:
    kind, _, default = kind.partition("=")
    repeated = kind.endswith("*")
    kind = kind.rstrip("*")
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind in _MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".caffe.{kind}"
    elif kind in _ENUMS:
        field.type, field.type_name = field.TYPE_ENUM, f".caffe.{kind}Scope.{kind}"
    else:
        field.type = field.Type.Value(f"TYPE_{kind.upper()}")
    if default:
        field.default_value = default


# A pool of its own: another package in the process may have registered Caffe's schema, too.
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"caffe.{name}"))


NetParameter = _message("NetParameter")
LayerParameter = _message("LayerParameter")
V1LayerParameter = _message("V1LayerParameter")
BlobProto = _message("BlobProto")
