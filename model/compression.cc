#include "model/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <climits>
#include <memory>

#include "base/wire.h"

namespace stele {
namespace {

std::unexpected<Error> corrupt(std::string_view codec, std::string_view what) {
  return error(ErrorCode::kCorrupt, std::string(codec) + " data: " + std::string(what));
}

std::unexpected<Error> too_large(std::string_view codec, std::size_t limit) {
  return error(ErrorCode::kNoSpace,
               std::string(codec) + " data decompresses to more than " + std::to_string(limit) + " bytes");
}

std::unexpected<Error> no_memory(std::string_view codec) {
  return error(ErrorCode::kInternal, std::string(codec) + ": no memory for a context");
}

// Makes `out` `size` bytes long without clearing what is new. libstdc++ 12 hands the operation its capacity
// where the standard says the size asked for, so its argument is not used.
void resize_uncleared(std::string& out, std::size_t size) {
  out.resize_and_overwrite(size, [size](char*, std::size_t) { return size; });
}

// Room at the end of a string that a codec writes into. Grows by doubling, never beyond the limit plus one
// byte: that byte is how a codec's "one more" is told from "exactly at the limit".
class Output {
 public:
  Output(std::string& out, std::size_t limit, std::size_t guess)
      : out_(out), start_(out.size()), limit_(std::min(limit, kNoLimit)) {
    grow_to(std::min(std::max<std::size_t>(guess, 256), limit_ + 1));
  }
  ~Output() { out_.resize(kept_ ? start_ + used_ : start_); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  char* data() { return out_.data() + start_ + used_; }
  std::size_t room() const { return size_ - used_; }
  void advance(std::size_t n) { used_ += n; }
  bool over() const { return used_ > limit_; }
  // More room, if all is used.
  void make_room() {
    if (room() == 0 && !over()) grow_to(std::min(size_ * 2, limit_ + 1));
  }
  void keep() { kept_ = true; }

 private:
  static constexpr std::size_t kNoLimit = std::size_t{1} << 40;
  void grow_to(std::size_t size) {
    resize_uncleared(out_, start_ + size);
    size_ = size;
  }
  std::string& out_;
  std::size_t start_;
  std::size_t limit_;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
  bool kept_ = false;
};

// ---- gzip (RFC 1952): one or more members

constexpr int kGzipWindow = 15 + 16;  // zlib: a 32 KiB window in gzip's wrapping

Result<> gzip_compress(std::string_view input, std::string& out) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return no_memory("gzip");
  }
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, deflateEnd);
  if (input.size() > UINT_MAX) return error(ErrorCode::kInvalidArgument, "gzip: more than 4 GiB at once");
  std::size_t start = out.size();
  std::size_t bound = deflateBound(&stream, input.size());
  resize_uncleared(out, start + bound);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data() + start);
  stream.avail_out = static_cast<uInt>(std::min<std::size_t>(bound, UINT_MAX));
  int rc = deflate(&stream, Z_FINISH);
  out.resize(start + stream.total_out);
  if (rc != Z_STREAM_END) {
    out.resize(start);
    return error(ErrorCode::kInternal, "gzip: deflate stopped early");
  }
  return {};
}

Result<> gzip_decompress(std::string_view input, std::size_t limit, std::string& out) {
  if (input.size() > UINT_MAX) return error(ErrorCode::kNoSpace, "gzip: more than 4 GiB at once");
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return no_memory("gzip");
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, inflateEnd);
  Output output(out, limit, input.size() * 4);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  while (true) {
    output.make_room();
    if (output.over()) return too_large("gzip", limit);
    stream.next_out = reinterpret_cast<Bytef*>(output.data());
    uInt room = static_cast<uInt>(std::min<std::size_t>(output.room(), UINT_MAX));
    stream.avail_out = room;
    int rc = inflate(&stream, Z_NO_FLUSH);
    output.advance(room - stream.avail_out);
    if (output.over()) return too_large("gzip", limit);
    if (rc == Z_STREAM_END) {
      if (stream.avail_in == 0) break;
      if (inflateReset(&stream) != Z_OK) return corrupt("gzip", "cannot start the next member");
      continue;
    }
    if (rc == Z_MEM_ERROR) return no_memory("gzip");
    if (rc == Z_BUF_ERROR || (rc == Z_OK && stream.avail_in == 0 && stream.avail_out > 0)) {
      return corrupt("gzip", "cut short");
    }
    if (rc != Z_OK) return corrupt("gzip", stream.msg ? stream.msg : "damaged");
  }
  output.keep();
  return {};
}

// ---- snappy, in the framing of snappy-java's SnappyOutputStream: a header, then blocks with their lengths

constexpr std::string_view kXerialMagic("\x82SNAPPY\0", 8);
constexpr std::size_t kXerialHeader = 16;  // magic, version, oldest version that can read it
constexpr std::size_t kXerialBlock = 32 * 1024;

Result<> snappy_compress(std::string_view input, std::string& out) {
  Writer(out).bytes(kXerialMagic).u32_be(1).u32_be(1);
  while (!input.empty()) {
    std::string_view block = input.substr(0, kXerialBlock);
    input.remove_prefix(block.size());
    std::size_t start = out.size();
    resize_uncleared(out, start + 4 + snappy::MaxCompressedLength(block.size()));
    std::size_t length = 0;
    snappy::RawCompress(block.data(), block.size(), out.data() + start + 4, &length);
    store_be(out.data() + start, static_cast<std::uint32_t>(length));
    out.resize(start + 4 + length);
  }
  return {};
}

Result<> snappy_block(std::string_view block, std::size_t limit, std::size_t start, std::string& out) {
  std::size_t length = 0;
  if (!snappy::GetUncompressedLength(block.data(), block.size(), &length))
    return corrupt("snappy", "no length");
  if (length > limit - (out.size() - start)) return too_large("snappy", limit);
  // The format's densest element turns 3 bytes into 64: a length beyond that is a lie, and not worth the
  // memory.
  if (length / 32 > block.size()) return corrupt("snappy", "a length that its data cannot have");
  std::size_t at = out.size();
  resize_uncleared(out, at + length);
  if (!snappy::RawUncompress(block.data(), block.size(), out.data() + at))
    return corrupt("snappy", "damaged");
  return {};
}

Result<> snappy_blocks(std::string_view input, std::size_t limit, std::size_t start, std::string& out) {
  if (!input.starts_with(kXerialMagic)) return snappy_block(input, limit, start, out);
  while (!input.empty()) {
    // A concatenation of streams is a stream, as in Java: a header may come again.
    if (input.starts_with(kXerialMagic)) {
      if (input.size() < kXerialHeader) return corrupt("snappy", "cut short in the header");
      if (load_be<std::uint32_t>(input.data() + 12) > 1)
        return corrupt("snappy", "framing of a later version");
      input.remove_prefix(kXerialHeader);
      continue;
    }
    Reader reader(input);
    std::string_view block = reader.bytes(reader.u32_be());
    if (reader.failed()) return corrupt("snappy", "cut short");
    STELE_CHECK(snappy_block(block, limit, start, out));
    input = reader.rest();
  }
  return {};
}

Result<> snappy_decompress(std::string_view input, std::size_t limit, std::string& out) {
  std::size_t start = out.size();
  auto result = snappy_blocks(input, limit, start, out);
  if (!result) out.resize(start);
  return result;
}

// ---- LZ4 frame. Java's reader takes independent blocks only.

Result<> lz4_compress(std::string_view input, std::string& out) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  std::size_t start = out.size();
  std::size_t bound = LZ4F_compressFrameBound(input.size(), &preferences);
  resize_uncleared(out, start + bound);
  std::size_t length =
      LZ4F_compressFrame(out.data() + start, bound, input.data(), input.size(), &preferences);
  bool failed = LZ4F_isError(length);
  out.resize(start + (failed ? 0 : length));
  if (failed) return error(ErrorCode::kInternal, std::string("lz4: ") + LZ4F_getErrorName(length));
  return {};
}

Result<> lz4_decompress(std::string_view input, std::size_t limit, std::string& out) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) return no_memory("lz4");
  std::unique_ptr<LZ4F_dctx, LZ4F_errorCode_t (*)(LZ4F_dctx*)> context(raw, LZ4F_freeDecompressionContext);
  Output output(out, limit, input.size() * 4);
  while (true) {
    output.make_room();
    if (output.over()) return too_large("lz4", limit);
    std::size_t written = output.room();
    std::size_t taken = input.size();
    std::size_t rc = LZ4F_decompress(context.get(), output.data(), &written, input.data(), &taken, nullptr);
    if (LZ4F_isError(rc)) return corrupt("lz4", LZ4F_getErrorName(rc));
    output.advance(written);
    input.remove_prefix(taken);
    if (output.over()) return too_large("lz4", limit);
    if (rc == 0) break;
    if (written == 0 && taken == 0 && output.room() > 0) return corrupt("lz4", "cut short");
  }
  if (!input.empty()) return corrupt("lz4", "something after the frame");
  output.keep();
  return {};
}

// ---- zstd: one or more frames

Result<> zstd_compress(std::string_view input, std::string& out) {
  std::size_t start = out.size();
  std::size_t bound = ZSTD_compressBound(input.size());
  resize_uncleared(out, start + bound);
  std::size_t length =
      ZSTD_compress(out.data() + start, bound, input.data(), input.size(), ZSTD_CLEVEL_DEFAULT);
  bool failed = ZSTD_isError(length);
  out.resize(start + (failed ? 0 : length));
  if (failed) return error(ErrorCode::kInternal, std::string("zstd: ") + ZSTD_getErrorName(length));
  return {};
}

Result<> zstd_decompress(std::string_view input, std::size_t limit, std::string& out) {
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) return no_memory("zstd");
  Output output(out, limit, input.size() * 4);
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  while (true) {
    output.make_room();
    if (output.over()) return too_large("zstd", limit);
    ZSTD_outBuffer to{output.data(), output.room(), 0};
    std::size_t taken = in.pos;
    std::size_t rc = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(rc)) return corrupt("zstd", ZSTD_getErrorName(rc));
    output.advance(to.pos);
    if (output.over()) return too_large("zstd", limit);
    if (rc == 0 && in.pos == in.size) break;
    if (rc != 0 && in.pos == taken && to.pos == 0 && output.room() > 0) return corrupt("zstd", "cut short");
  }
  output.keep();
  return {};
}

}  // namespace

std::string_view to_string(Compression codec) {
  switch (codec) {
    case Compression::kNone:
      return "uncompressed";
    case Compression::kGzip:
      return "gzip";
    case Compression::kSnappy:
      return "snappy";
    case Compression::kLz4:
      return "lz4";
    case Compression::kZstd:
      return "zstd";
  }
  return "unknown";
}

std::optional<Compression> compression_from(int attribute) {
  if (attribute < 0 || attribute > 4) return std::nullopt;
  return static_cast<Compression>(attribute);
}

Result<> compress(Compression codec, std::string_view input, std::string& out) {
  switch (codec) {
    case Compression::kNone:
      out.append(input);
      return {};
    case Compression::kGzip:
      return gzip_compress(input, out);
    case Compression::kSnappy:
      return snappy_compress(input, out);
    case Compression::kLz4:
      return lz4_compress(input, out);
    case Compression::kZstd:
      return zstd_compress(input, out);
  }
  return error(ErrorCode::kUnsupported, "an unknown compression codec");
}

Result<> decompress(Compression codec, std::string_view input, std::size_t limit, std::string& out) {
  if (codec != Compression::kNone && input.empty()) return corrupt(to_string(codec), "empty");
  switch (codec) {
    case Compression::kNone:
      if (input.size() > limit) return too_large("uncompressed", limit);
      out.append(input);
      return {};
    case Compression::kGzip:
      return gzip_decompress(input, limit, out);
    case Compression::kSnappy:
      return snappy_decompress(input, limit, out);
    case Compression::kLz4:
      return lz4_decompress(input, limit, out);
    case Compression::kZstd:
      return zstd_decompress(input, limit, out);
  }
  return error(ErrorCode::kUnsupported, "an unknown compression codec");
}

}  // namespace stele
