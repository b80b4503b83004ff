// Package gen holds the messages of courier.proto, as protoc-gen-go writes them.

package gen

type DeliveryStatus int32

const (
	DeliveryStatus_QUEUED    DeliveryStatus = 0
	DeliveryStatus_SENT      DeliveryStatus = 1
	DeliveryStatus_FAILED    DeliveryStatus = 2
	DeliveryStatus_CANCELLED DeliveryStatus = 3
)

var DeliveryStatus_name = map[int32]string{
	0: "QUEUED",
	1: "SENT",
	2: "FAILED",
	3: "CANCELLED",
}

func (x DeliveryStatus) String() string {
	return DeliveryStatus_name[int32(x)]
}

type Delivery struct {
	Id       string         `protobuf:"bytes,1,opt,name=id,proto3" json:"id,omitempty"`
	Endpoint string         `protobuf:"bytes,2,opt,name=endpoint,proto3" json:"endpoint,omitempty"`
	Payload  []byte         `protobuf:"bytes,3,opt,name=payload,proto3" json:"payload,omitempty"`
	Status   DeliveryStatus `protobuf:"varint,4,opt,name=status,proto3" json:"status,omitempty"`
}

func (m *Delivery) Reset()         { *m = Delivery{} }
func (m *Delivery) GetId() string {
	if m != nil {
		return m.Id
	}
	return ""
}

func (m *Delivery) GetEndpoint() string {
	if m != nil {
		return m.Endpoint
	}
	return ""
}

func (m *Delivery) GetPayload() []byte {
	if m != nil {
		return m.Payload
	}
	return nil
}

type RetryPolicy struct {
	MaxAttempts uint32 `protobuf:"varint,1,opt,name=max_attempts,proto3" json:"max_attempts,omitempty"`
	BaseMillis  uint64 `protobuf:"varint,2,opt,name=base_millis,proto3" json:"base_millis,omitempty"`
}

func (m *RetryPolicy) GetMaxAttempts() uint32 {
	if m != nil {
		return m.MaxAttempts
	}
	return 0
}
