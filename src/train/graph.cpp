// CUDA graphs for graph.rs: a stream to record on, and what was recorded on it. Every function returns nothing if it worked, and
// else a message that `strandnet_graph_forget` frees.

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

#include <cstring>
#include <exception>

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

} // namespace

extern "C" {

void strandnet_graph_forget(char* message) {
  free(message);
}

// Gives this thread a stream of its own, as the default one cannot be recorded, once all that was asked for before is done.
char* strandnet_graph_enter(int device) {
  return message_of([&] {
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromPool(false, static_cast<c10::DeviceIndex>(device)));
  });
}

// Gives this thread the default stream back.
char* strandnet_graph_leave(int device) {
  return message_of([&] {
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(c10::cuda::getDefaultCUDAStream(static_cast<c10::DeviceIndex>(device)));
  });
}

char* strandnet_graph_begin(at::cuda::CUDAGraph** graph) {
  return message_of([&] {
    *graph = new at::cuda::CUDAGraph();
    (*graph)->capture_begin();
  });
}

char* strandnet_graph_end(at::cuda::CUDAGraph* graph) {
  return message_of([&] { graph->capture_end(); });
}

char* strandnet_graph_replay(at::cuda::CUDAGraph* graph) {
  return message_of([&] { graph->replay(); });
}

void strandnet_graph_free(at::cuda::CUDAGraph* graph) {
  delete graph;
}

}
