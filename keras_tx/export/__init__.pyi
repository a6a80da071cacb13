from .formats import FORMATS as FORMATS
from .litert import export_litert as export_litert
from .onnx import export_onnx as export_onnx
from .saved_model import export_saved_model as export_saved_model
from .verify import Verification as Verification
