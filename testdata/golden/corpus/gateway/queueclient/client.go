// Package queueclient speaks the queue's wire protocol.
package queueclient

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const protocolVersion = 3

// ErrQueueFull is the queue's answer when it takes no more jobs.
var ErrQueueFull = errors.New("queue is full")

// RefusedError is any other refusal.
type RefusedError struct {
	Code    uint16
	Message string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("queue refused with code %d: %s", e.Code, e.Message)
}

// Client is one connection, shared by all handlers.
type Client struct {
	mu   sync.Mutex
	conn net.Conn
}

// Dial connects and says hello.
func Dial(address string) (*Client, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the queue at %s: %w", address, err)
	}
	client := &Client{conn: conn}
	if _, _, err := client.exchange(0x01, []byte{protocolVersion}); err != nil {
		conn.Close()
		return nil, err
	}
	return client, nil
}

// Push queues a payload; the id of the new job.
func (c *Client) Push(topic string, payload []byte) (string, error) {
	body := append([]byte{byte(len(topic))}, topic...)
	_, answer, err := c.exchange(0x02, append(body, payload...))
	return string(answer), err
}

// Complete marks a job as done.
func (c *Client) Complete(id string) error {
	_, _, err := c.exchange(0x04, []byte(id))
	return err
}

// List returns ids after the given one.
func (c *Client) List(after string, limit int) ([]string, error) {
	_, answer, err := c.exchange(0x07, []byte(after))
	if err != nil {
		return nil, err
	}
	var ids []string
	for len(answer) >= 23 && len(ids) < limit {
		ids = append(ids, string(answer[:23]))
		answer = answer[23:]
	}
	return ids, nil
}

// Ping tells whether the queue still answers.
func (c *Client) Ping() error {
	_, _, err := c.exchange(0x01, []byte{protocolVersion})
	return err
}

// Close hangs up.
func (c *Client) Close() error {
	return c.conn.Close()
}

// exchange writes a frame and reads the answer's.
func (c *Client) exchange(kind byte, body []byte) (byte, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body)+1))
	frame = append(append(frame, kind), body...)
	if _, err := c.conn.Write(frame); err != nil {
		return 0, nil, fmt.Errorf("connection to the queue lost: %w", err)
	}
	var head [5]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return 0, nil, fmt.Errorf("connection to the queue lost: %w", err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[:4])-1)
	if _, err := io.ReadFull(c.conn, answer); err != nil {
		return 0, nil, err
	}
	if head[4] == 0xff {
		code := binary.BigEndian.Uint16(answer)
		if code == 429 {
			return 0, nil, ErrQueueFull
		}
		return 0, nil, &RefusedError{Code: code, Message: string(answer[2:])}
	}
	return head[4], answer, nil
}
