import CDescriptor
import CProtobufC
import Glibc

/// A protoc plugin that makes Swift values, clients and service protocols over what protoc-gen-c makes of the same files.
///
/// As a plugin (`--florin_out=PARAMETERS:DIRECTORY`) it takes the parameters `module` (the Swift module that the files will
/// belong to) and `namespace` (instead of the one derived from the package). With the argument `--strings-as-bytes` it is a
/// filter for requests on their way to protoc-gen-c; see `StringsAsBytes`.
@main
struct ProtocGenFlorin {
  typealias Request = Google__Protobuf__Compiler__CodeGeneratorRequest
  typealias Response = Google__Protobuf__Compiler__CodeGeneratorResponse
  typealias ResponseFile = Google__Protobuf__Compiler__CodeGeneratorResponse__File

  static func main() {
    let input = readStandardInput()
    guard let request = google__protobuf__compiler__code_generator_request__unpack(nil, input.count, input) else {
      fail("standard input is no CodeGeneratorRequest: this program is a plugin, run it through protoc (see scripts/proto.sh)")
    }
    defer { google__protobuf__compiler__code_generator_request__free_unpacked(request, nil) }
    switch Array(CommandLine.arguments.dropFirst()) {
    case []: generate(request.pointee)
    case ["--strings-as-bytes"]:
      for file in UnsafeBufferPointer(start: request.pointee.proto_file, count: request.pointee.n_proto_file) {
        if let file { StringsAsBytes.rewrite(file) }
      }
      writeStandardOutput(count: google__protobuf__compiler__code_generator_request__get_packed_size(request)) {
        google__protobuf__compiler__code_generator_request__pack(request, $0)
      }
    default: fail("the only argument is --strings-as-bytes")
    }
  }

  private static func generate(_ request: Request) {
    var response = Response()
    google__protobuf__compiler__code_generator_response__init(&response)
    var files: [UnsafeMutablePointer<ResponseFile>?] = []
    defer {
      for case .some(let file) in files {
        free(file.pointee.name)
        free(file.pointee.content)
        file.deallocate()
      }
      free(response.error)
    }
    do {
      for (name, content) in try output(of: request) {
        let file = UnsafeMutablePointer<ResponseFile>.allocate(capacity: 1)
        google__protobuf__compiler__code_generator_response__file__init(file)
        file.pointee.name = strdup(name)
        file.pointee.content = strdup(content)
        files.append(file)
      }
    } catch { response.error = strdup(error.message) }
    files.withUnsafeMutableBufferPointer { files in
      response.n_file = files.count
      response.file = files.baseAddress
      writeStandardOutput(count: google__protobuf__compiler__code_generator_response__get_packed_size(&response)) {
        google__protobuf__compiler__code_generator_response__pack(&response, $0)
      }
    }
  }

  private static func output(of request: Request) throws(GenerationError) -> [(name: String, content: String)] {
    var parameters: [String: String] = [:]
    for pair in string(request.parameter).split(separator: ",") {
      let parts = pair.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2, ["module", "namespace"].contains(parts[0]) else {
        throw GenerationError("'\(pair)' is no parameter; they are module=NAME and namespace=NAME")
      }
      parameters[parts[0]] = parts[1]
    }
    guard let module = parameters["module"] else { throw GenerationError("the parameter module=NAME is missing") }
    let wanted = Set((0..<request.n_file_to_generate).map { string(request.file_to_generate[$0]) })
    var files: [ProtoFile] = []
    for descriptor in array(request.proto_file, request.n_proto_file) { files.append(try SchemaReader.read(descriptor)) }
    var namespaces: [String: String] = [:]
    for name in wanted { namespaces[name] = parameters["namespace"] }
    let types = TypeTable(files, namespaces: namespaces)
    return files.filter { wanted.contains($0.name) }.map { file in
      let namespace = namespaces[file.name] ?? Naming.namespace(package: file.package)
      return (namespace + ".pb.swift", FileEmitter(types: types, namespace: namespace, module: module).emit(file))
    }
  }

  // MARK: Standard input and output

  private static func readStandardInput() -> [UInt8] {
    var input: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(0, &buffer, buffer.count)
      if count < 0 { fail("standard input cannot be read: \(String(cString: strerror(errno)))") }
      if count == 0 { return input }
      input += buffer[..<count]
    }
  }

  private static func writeStandardOutput(count: Int, _ pack: (UnsafeMutablePointer<UInt8>) -> Int) {
    let buffer = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, count))
    defer { buffer.deallocate() }
    let packed = pack(buffer)
    var written = 0
    while written < packed {
      let step = write(1, buffer + written, packed - written)
      if step < 0 { fail("standard output cannot be written: \(String(cString: strerror(errno)))") }
      written += step
    }
  }

  private static func fail(_ message: String) -> Never {
    let line = Array("protoc-gen-florin: \(message)\n".utf8)
    // Nothing is left to try if this fails.
    _ = write(2, line, line.count)
    exit(2)
  }
}
