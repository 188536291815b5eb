// A program around openai-go: reads jobs, one JSON line each, and prints what it was told, one JSON line each.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/openai/openai-go"
	"github.com/openai/openai-go/option"
)

type job struct {
	ID         string `json:"id"`
	BaseURL    string `json:"baseUrl"`
	Model      string `json:"model"`
	Stream     bool   `json:"stream"`
	OwnRetries bool   `json:"ownRetries"`
	ReadMs     int    `json:"readMs"`
}

type told struct {
	Told    string  `json:"told"`
	Type    *string `json:"type"`
	Code    *string `json:"code"`
	Text    string  `json:"text"`
	Retries int     `json:"retries"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var asked job
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		answer := told{Told: "complete"}
		if err := ask(asked, &answer.Text); err != nil {
			kind := fmt.Sprintf("%T", err)
			answer.Told, answer.Type = "error", &kind
			var api *openai.Error
			if errors.As(err, &api) && api.Code != "" {
				answer.Code = &api.Code
			}
		}
		line, _ := json.Marshal(answer)
		fmt.Println(string(line))
	}
}

func ask(asked job, text *string) error {
	options := []option.RequestOption{option.WithBaseURL(asked.BaseURL), option.WithAPIKey("sk-test")}
	if !asked.OwnRetries {
		options = append(options, option.WithMaxRetries(0))
	}
	client := openai.NewClient(options...)
	params := openai.ChatCompletionNewParams{
		Model:    asked.Model,
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(asked.ID)},
	}
	if !asked.Stream {
		answer, err := client.Chat.Completions.New(context.Background(), params)
		if err == nil {
			*text = answer.Choices[0].Message.Content
		}
		return err
	}
	stream := client.Chat.Completions.NewStreaming(context.Background(), params)
	for stream.Next() {
		if chunk := stream.Current(); len(chunk.Choices) > 0 {
			*text += chunk.Choices[0].Delta.Content
			time.Sleep(time.Duration(asked.ReadMs) * time.Millisecond)
		}
	}
	return stream.Err()
}
