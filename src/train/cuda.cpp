// What cuda.rs asks of libtorch's CUDA half and tch does not bind: streams, and graphs recorded on them. Every function returns
// nothing if it worked, and else a message that `strandnet_cuda_forget` frees.

#include <ATen/core/Tensor.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <cstring>
#include <exception>
#include <map>
#include <mutex>

namespace {

template <typename Work>
char* message_of(Work work) {
  try {
    work();
    return nullptr;
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an error without a message");
  }
}

// The stream of a device on which batches go to it. Always the same one, because memory belongs to a stream.
c10::cuda::CUDAStream uploads(c10::DeviceIndex device) {
  static std::mutex mutex;
  static std::map<c10::DeviceIndex, c10::cuda::CUDAStream> streams;
  const std::lock_guard<std::mutex> guard(mutex);
  auto found = streams.find(device);
  if (found == streams.end()) {
    found = streams.emplace(device, c10::cuda::getStreamFromPool(false, device)).first;
  }
  return found->second;
}

} // namespace

extern "C" {

void strandnet_cuda_forget(char* message) {
  free(message);
}

// Gives this thread a stream of its own, as the default one cannot be recorded, once all that was asked for before is done.
char* strandnet_cuda_enter(int device) {
  return message_of([&] {
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(false, static_cast<c10::DeviceIndex>(device)));
  });
}

// Gives this thread the default stream back.
char* strandnet_cuda_leave(int device) {
  return message_of([&] {
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(c10::cuda::getDefaultCUDAStream(static_cast<c10::DeviceIndex>(device)));
  });
}

// Gives this thread, until it ends, the stream for uploads.
char* strandnet_cuda_enter_transfers(int device) {
  return message_of([&] { c10::cuda::setCurrentCUDAStream(uploads(static_cast<c10::DeviceIndex>(device))); });
}

// Waits until all that this thread asked for on that stream is done.
char* strandnet_cuda_wait_for_transfers(int device) {
  return message_of([&] { uploads(static_cast<c10::DeviceIndex>(device)).synchronize(); });
}

// Keeps the memory of a tensor, once that is dropped, until this thread's stream has done what it was asked for by then.
char* strandnet_cuda_use(const at::Tensor* tensor) {
  return message_of([&] { tensor->record_stream(c10::cuda::getCurrentCUDAStream(tensor->device().index()).unwrap()); });
}

char* strandnet_cuda_graph_begin(at::cuda::CUDAGraph** graph) {
  return message_of([&] {
    *graph = new at::cuda::CUDAGraph();
    (*graph)->capture_begin();
  });
}

char* strandnet_cuda_graph_end(at::cuda::CUDAGraph* graph) {
  return message_of([&] { graph->capture_end(); });
}

char* strandnet_cuda_graph_replay(at::cuda::CUDAGraph* graph) {
  return message_of([&] { graph->replay(); });
}

void strandnet_cuda_graph_free(at::cuda::CUDAGraph* graph) {
  delete graph;
}

}
